"""Single edits of `base.py`, each the shape of a bug that somebody has shipped, or of a plain slip.

(name, contract, old text, new text). The old text occurs once in its function, or the edit says
which function. Numbers in the names are those of the catalogue in `docs/findings.md`.
"""

SCAN, STEP, CONV, CONV_STEP, BLOCK = (
    "selective_scan",
    "selective_scan_step",
    "causal_conv1d",
    "causal_conv1d_step",
    "mamba_block",
)

FORWARD = [
    ("bias after softplus", "    s = delta if delta_bias is None else delta + delta_bias[:, None]\n    step = softplus(s) if delta_softplus else s\n    a =", "    s = softplus(delta) if delta_softplus else delta\n    step = s if delta_bias is None else s + delta_bias[:, None]\n    a ="),
    ("bias dropped", "s = delta if delta_bias is None else delta + delta_bias[:, None]", "s = delta"),
    ("bias twice (28)", "else delta + delta_bias[:, None]", "else delta + 2 * delta_bias[:, None]"),
    ("softplus without its guard (19)", "np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))", "np.log(1 + np.exp(x))"),
    ("softplus loses small steps (20)", "np.log1p(np.exp(-np.abs(x)))", "np.log(1 + np.exp(-np.abs(x)))"),
    ("softplus forgotten", "step = softplus(s) if delta_softplus else s\n    a =", "step = s\n    a ="),
    ("delta clamped (32)", "step = softplus(s) if delta_softplus else s\n    a =", "step = np.clip(softplus(s) if delta_softplus else s, 1e-3, 0.1)\n    a ="),
    ("zero-order hold for B", "b = drive[:, :, None] * B", "b = (np.expm1(step[:, :, None] * A[:, :, None]) / A[:, :, None]) * B * u[:, :, None]"),
    ("Euler for the decay", "a = np.exp(step[:, :, None] * A[:, :, None])", "a = 1 + step[:, :, None] * A[:, :, None]"),
    ("exponential in 16 bits (34)", "a = np.exp(step[:, :, None] * A[:, :, None])", "a = np.exp(step[:, :, None] * A[:, :, None])\n    a = a if np.iscomplexobj(a) else a.astype(np.float16).astype(np.float32)"),
    ("sign of A", "a = np.exp(step[:, :, None] * A[:, :, None])", "a = np.exp(-step[:, :, None] * A[:, :, None])"),
    ("decay floor", "a = np.exp(step[:, :, None] * A[:, :, None])", "a = np.exp(step[:, :, None] * A[:, :, None]) + 1e-6"),
    ("delta left out of the drive", "drive = step * u", "drive = u"),
    ("operands of the scan swapped (29)", "later_b = a[..., k:] * b[..., :-k] + b[..., k:]", "later_b = a[..., :-k] * b[..., k:] + b[..., :-k]"),
    ("decay of the wrong side (29)", "later_b = a[..., k:] * b[..., :-k]", "later_b = a[..., :-k] * b[..., :-k]"),
    ("decays not combined", "a[..., k:], b[..., k:] = later_a, later_b", "b[..., k:] = later_b"),
    ("last doubling left out", "while k < b.shape[-1]:", "while 2 * k < b.shape[-1]:"),
    ("carry dropped between chunks (31)", "carry = whole[..., -1]", "carry = 0 * whole[..., -1]"),
    ("carry from before the chunk is whole", "carry = whole[..., -1]", "carry = local[..., -1]"),
    ("carry not decayed inside a chunk", "whole = local + decay * carry[..., None]", "whole = local + carry[..., None]"),
    ("initial state ignored (7)", "carry = h0\n", "carry = 0 * h0\n"),
    ("initial state dropped for one row (30)", "is None else initial_state\n    h = scan", "is None or len(u) == 1 else initial_state\n    h = scan"),
    ("state one step early", "last_state = h[..., -1].copy()", "last_state = h[..., -2:][..., 0].copy()"),
    ("state after the first chunk", "last_state = h[..., -1].copy()", "last_state = h[..., :CHUNK][..., -1].copy()"),
    ("last state lacks constant B (14)", "last_state = h[..., -1].copy()", "last_state = h[..., -1] / Bx[..., -1] if B.ndim == 2 else h[..., -1].copy()"),
    ("groups tiled (27)", "return np.repeat(x, d // x.shape[1], axis=1)", "return np.tile(x, (1, d // x.shape[1], 1, 1))"),
    ("only the first group", "x = x[:, None] if x.ndim == 3 else x\n    return np.repeat", "x = x[:, None] if x.ndim == 3 else x[:, :1]\n    return np.repeat"),
    ("skip after the gate", "    if D is not None:\n        y = y + D[:, None] * u\n    out = y if z is None else y * silu(z)", "    out = y if z is None else y * silu(z)\n    if D is not None:\n        out = out + D[:, None] * u"),
    ("skip forgotten", "y = y + D[:, None] * u", "y = y + 0"),
    ("gate is a sigmoid", "out = y if z is None else y * silu(z)", "out = y if z is None else y * sigmoid(z)"),
    ("silu overflows", "return x * sigmoid(x)", "return x * np.exp(x) / (1 + np.exp(x))"),
    ("state kept in 16 bits (33)", "whole = local + decay * carry[..., None]", "whole = (local + decay * carry[..., None]).astype(np.float16).astype(b.dtype) if b.dtype.kind == 'f' else local + decay * carry[..., None]"),
    ("absolute guard in the scan (4)", "whole = local + decay * carry[..., None]", "whole = local + (decay + np.float32(1e-12)) * carry[..., None]"),
    ("writes into u (40)", "    h = scan(a, b, h0)\n", "    h = scan(a, b, h0)\n    u *= 1.5\n"),
    ("writes into the initial state (40)", "    h = scan(a, b, h0)\n", "    h = scan(a, b, h0)\n    h0[...] = h[..., -1]\n"),
    ("returns double precision (11)", "last_state = h[..., -1].copy()", "out = out.astype(np.float64)\n    last_state = h[..., -1].copy()"),
    ("rows of the batch mixed", "h = scan(a, b, h0)\n", "h = scan(a, b[::-1], h0)\n"),
    ("NaN of a masked tail (24)", "whole = local + decay * carry[..., None]", "whole = local + decay * carry[..., None] + 0 * b.sum(-1, keepdims=True)"),
    ("the future leaks", "whole = local + decay * carry[..., None]", "whole = local + decay * carry[..., None] + 1e-3 * b[..., -1:]"),
]  # fmt: skip

COMPLEX = [
    ("real part not doubled", "y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)\n    if", "y = terms.real.sum(2)\n    if"),
    ("real and imaginary parts in halves", "return x[..., 0::2] + 1j * x[..., 1::2]", "return x[..., : x.shape[-1] // 2] + 1j * x[..., x.shape[-1] // 2 :]"),
    ("product with the conjugate", "terms = h * Cx\n    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)\n    if", "terms = h * np.conj(Cx)\n    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)\n    if"),
    ("backward scan without conj (1)", "np.concatenate([np.conj(a[..., 1:]),", "np.concatenate([a[..., 1:],"),
    ("dC without conj (1)", "fold(dterms * np.conj(h), C, A)", "fold(dterms * h, C, A)"),
    ("dh without conj (1)", "dterms * np.conj(Cx), h.shape", "dterms * Cx, h.shape"),
    ("dA without conj (1)", "dlog = g * np.conj(a * h_prev)", "dlog = g * (a * h_prev)"),
    ("du without conj (1)", "gB = (g * np.conj(Bx)).real", "gB = (g * Bx).real"),
    ("gradients not doubled", "twice = 2 if np.iscomplexobj(A) else 1", "twice = 1"),
    ("gradient of the initial state without conj (1)", "np.conj(a[..., 0]) * g[..., 0]", "a[..., 0] * g[..., 0]"),
]  # fmt: skip

VARLEN = [
    ("no reset between sequences (31)", "a = np.where(first[:, None, None], 0, a)", "a = a + 0"),
    ("reset one step late", "first[:, 1:] = seq_idx[:, 1:] != seq_idx[:, :-1]", "first[:, 2:] = seq_idx[:, 1:-1] != seq_idx[:, :-2]"),
    ("reset decided by the first row", "a = np.where(first[:, None, None], 0, a)", "a = np.where(first[:1, None, None], 0, a)"),
    ("reset one state too many", "seq_idx[:, 1:] != seq_idx[:, :-1]", "seq_idx[:, 1:] >= seq_idx[:, :-1]"),
]  # fmt: skip

BACKWARD = [
    ("softplus derivative left out", "ds = dstep * sigmoid(s) if delta_softplus else dstep", "ds = dstep"),
    ("softplus derivative above 20 (21)", "ds = dstep * sigmoid(s) if delta_softplus else dstep", "ds = np.where(s <= 20, dstep * sigmoid(s), s) if delta_softplus else dstep"),
    ("softplus derivative of the wrong value", "ds = dstep * sigmoid(s)", "ds = dstep * sigmoid(step)"),
    ("reverse decay off by one", "np.concatenate([np.conj(a[..., 1:]), np.zeros_like(a[..., :1])], -1)", "np.conj(a)"),
    ("reverse scan not reversed back", "np.zeros_like(h0))[..., ::-1]", "np.zeros_like(h0))"),
    ("last state's gradient left out", "dh[..., -1] += dlast_state", "dh[..., -1] += 0"),
    ("last state's gradient at the first step", "dh[..., -1] += dlast_state", "dh[..., 0] += dlast_state"),
    ("h instead of the one before", "dlog = g * np.conj(a * h_prev)", "dlog = g * np.conj(a * h)"),
    ("initial state missing in h_prev", "h_prev = np.concatenate([h0[..., None],", "h_prev = np.concatenate([0 * h0[..., None],"),
    ("a h recovered by difference (16)", "dlog = g * np.conj(a * h_prev)", "dlog = g * np.conj(h - b)"),
    ("ddelta lacks its A term", "(dlog * np.conj(A)[:, :, None]).real + gB * u[:, :, None]", "gB * u[:, :, None]"),
    ("ddelta lacks its B term", "(dlog * np.conj(A)[:, :, None]).real + gB * u[:, :, None]", "(dlog * np.conj(A)[:, :, None]).real"),
    ("dA lacks delta", "(dlog * step[:, :, None]).sum((0, 3))", "dlog.sum((0, 3))"),
    ("dA of the last row only", "(dlog * step[:, :, None]).sum((0, 3))", "(dlog * step[:, :, None])[-1].sum(2)"),
    ("dD lacks the batch sum", "(dy * u).sum((0, 2))", "(dy * u)[0].sum(1)"),
    ("dD before the gate", "dy = dout * silu(z)\n    if D is not None:\n        grads[\"D\"] = (dy * u)", "dy = dout * silu(z)\n    if D is not None:\n        grads[\"D\"] = (dout * u)"),
    ("du lacks D", "du = du + dy * D[:, None]", "du = du + 0"),
    ("silu derivative", "dout * y * (gate * (1 + z * (1 - gate)))", "dout * y * (gate * (1 + z * gate))"),
    ("dz of the gated output", "dout * y * (gate", "dout * (y * silu(z)) * (gate"),
    ("dbias of one row (37)", "grads[\"delta_bias\"] = ds.sum((0, 2))", "grads[\"delta_bias\"] = ds[0].sum(1)"),
    ("dbias counted by rows (37)", "grads[\"delta_bias\"] = ds.sum((0, 2))", "grads[\"delta_bias\"] = ds.sum((0, 2)) * len(u)"),
    ("gradient of groups tiled (27)", "grad.reshape(b, g, d // g, n, l).sum(2)", "grad.reshape(b, d // g, g, n, l).sum(1)"),
    ("dB lacks delta", "fold(g * (step * u)[:, :, None], B, A)", "fold(g * u[:, :, None], B, A)"),
    ("dinitial_state not decayed", "np.conj(a[..., 0]) * g[..., 0]", "g[..., 0]"),
    ("cotangent read as contiguous (35)", "    dy = dout\n    if z", "    dout = np.ravel(dout, order='K').reshape(dout.shape) if dout.flags.owndata or dout.base is not None and 0 not in dout.strides else dout\n    dy = dout\n    if z"),
    ("gradient in 16 bits", "gB = (g * np.conj(Bx)).real", "gB = (g * np.conj(Bx)).real.astype(np.float16).astype(np.float32)"),
]  # fmt: skip

STEPS = [
    ("state not decayed", "state = np.exp(step[..., None] * A) * state +", "state = state +"),
    ("answer from the state before (36)", "terms = state * Cx\n    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)\n    y = y if D", "terms = (state - (step * u)[..., None] * Bx) * Cx\n    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)\n    y = y if D"),
    ("step in 16 bits (33)", "+ (step * u)[..., None] * Bx\n", "+ (step * u)[..., None] * Bx\n    state = state.astype(np.float16).astype(np.float32) if state.dtype.kind == 'f' else state\n"),
    ("step's softplus forgotten", "s = delta if delta_bias is None else delta + delta_bias\n    step = softplus(s) if delta_softplus else s", "s = delta if delta_bias is None else delta + delta_bias\n    step = s"),
    ("step's groups tiled (27)", "Bx = B[:, None] if B.ndim == 2 else np.repeat(B, u.shape[1] // B.shape[1], axis=1)", "Bx = B[:, None] if B.ndim == 2 else np.tile(B, (1, u.shape[1] // B.shape[1], 1))"),
    ("step's skip after its gate", "y = y if D is None else y + D * u\n    return (y if z is None else y * silu(z)), state", "y = y if z is None else y * silu(z)\n    return (y if D is None else y + D * u), state"),
]  # fmt: skip

CONVS = [
    ("taps reversed", "y = sum(full[..., i : i + l] * weight[:, i, None] for i in range(k))", "y = sum(full[..., i : i + l] * weight[:, k - 1 - i, None] for i in range(k))"),
    ("padding at the end (39)", "full = np.concatenate([context, x], -1)\n    y = sum", "full = np.concatenate([x, context], -1)\n    y = sum"),
    ("initial context ignored (8)", "    context = np.zeros((*x.shape[:2], k - 1), x.dtype)\n    if initial_states is not None:\n        context = initial_states", "    context = np.zeros((*x.shape[:2], k - 1), x.dtype)"),
    ("last inputs of a short sequence (38)", "final_states = full[..., l:]", "final_states = np.concatenate([0 * context, x], -1)[..., l:]"),
    ("context after the activation (38)", "final_states = full[..., l:]", "final_states = silu(full[..., l:]) if activation else full[..., l:]"),
    ("activation before the bias", "    y = y if bias is None else y + bias[:, None]\n    out = silu(y) if activation else y", "    out = silu(y) if activation else y\n    out = out if bias is None else out + bias[:, None]"),
    ("activation's derivative left out", "if activation else dout\n    dfull", "if False else dout\n    dfull"),
    ("dx shifted (36)", "dfull[..., i : i + l] += dy * weight[:, i, None]", "dfull[..., i : i + l] += dy * weight[:, k - 1 - i, None]"),
    ("final states' gradient left out (36)", "dfull[..., l:] += dfinal_states", "dfull[..., l:] += 0"),
    ("final states' gradient shifted (36)", "dfull[..., l:] += dfinal_states", "dfull[..., 1 - k :] += dfinal_states[..., ::-1]"),
    ("dweight of one row (37)", "(full[..., i : i + l] * dy).sum((0, 2))", "(full[..., i : i + l] * dy)[0].sum(1)"),
    ("dweight reversed", "for i in range(k)], -1)\n    grads", "for i in reversed(range(k))], -1)\n    grads"),
    ("dbias of the output", "grads[\"bias\"] = dy.sum((0, 2))", "grads[\"bias\"] = dout.sum((0, 2))"),
    ("context's gradient dropped (36)", "grads[\"initial_states\"] = dfull[..., : k - 1]", "grads[\"initial_states\"] = 0 * dfull[..., : k - 1]"),
    ("conv reads strided input flat (35)", "full = np.concatenate([context, x], -1)\n    y = sum", "x = np.ravel(x, order='K').reshape(x.shape)\n    full = np.concatenate([context, x], -1)\n    y = sum"),
]  # fmt: skip

CONV_STEPS = [
    ("context not moved on", "return (silu(y) if activation else y), full[..., 1:]", "return (silu(y) if activation else y), full[..., :-1]"),
    ("new input first", "full = np.concatenate([initial_states, x[..., None]], -1)", "full = np.concatenate([x[..., None], initial_states], -1)"),
]  # fmt: skip

MODEL = [
    ("A in 16 bits (34)", "A, r = -np.exp(p[\"A_log\"])", "A, r = -np.exp(p[\"A_log\"].astype(np.float16)).astype(np.float32)"),
    ("A without its exponential", "A, r = -np.exp(p[\"A_log\"])", "A, r = -np.abs(p[\"A_log\"])"),
    ("delta's bias twice (28)", "low)\n    bias = p", "low) + p[\"dt_proj.bias\"][:, None]\n    bias = p"),
    ("gate and input swapped", "u, z = np.split((x @", "z, u = np.split((x @"),
    ("B and C swapped", "low, B, C = np.split", "low, C, B = np.split"),
    ("state of the scan forgotten (7)", "C, p[\"D\"], z, bias, True, scan_state)", "C, p[\"D\"], z, bias, True)"),
    ("state of the convolution forgotten (8)", "causal_conv1d(u, weight, bias, conv_state, activation=\"silu\")", "causal_conv1d(u, weight, bias, activation=\"silu\")"),
    ("no activation after the convolution", "conv_state, activation=\"silu\")", "conv_state)"),
    ("order of the projection", "low, B, C = np.split(selected, [r, r + n], axis=1)", "B, C, low = np.split(selected, [n, 2 * n], axis=1)"),
    ("softplus left out of the block", "z, bias, True, scan_state)", "z, bias, False, scan_state)"),
]  # fmt: skip

MUTANTS = [
    *((name, SCAN, old, new) for name, old, new in FORWARD + COMPLEX + VARLEN + BACKWARD),
    *((name, STEP, old, new) for name, old, new in STEPS),
    *((name, CONV, old, new) for name, old, new in CONVS),
    *((name, CONV_STEP, old, new) for name, old, new in CONV_STEPS),
    *((name, BLOCK, old, new) for name, old, new in MODEL),
]
