// entry.h -- from an array of pointers to a typed call, as the CUDA driver does it.
//
// EMU_EXPORT(kernel) also writes down the kernel's parameter types, so that the Python side can
// refuse a float64 array for a `float *` or a Python integer for an `int`.
#pragma once
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "language.h"

namespace emu {
template <class T>
std::string code() {  // *f4: pointer to float; i4: int; V2: a struct of two bytes
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_pointer_v<U>)
        return "*" + code<std::remove_pointer_t<U>>();
    else
        return (std::is_floating_point_v<U> ? "f" : std::is_class_v<U> ? "V" : std::is_signed_v<U> ? "i" : "u") +
               std::to_string(sizeof(U));
}
template <class... P>
struct Call {
    void (*kernel)(P...);
    void **args;
};
template <class... P, size_t... I>
void call(Call<P...> &c, std::index_sequence<I...>) {
    c.kernel(*(P *)c.args[I]...);
}
template <class... P>
void start(void (*kernel)(P...), const unsigned *grid, const unsigned *block, int order, uint64_t seed, void **args) {
    Call<P...> c{kernel, args};
    body_argument = &c;
    body = [](void *p) { call(*(Call<P...> *)p, std::index_sequence_for<P...>{}); };
    launch(grid, block, order, seed);
}
template <class... P>
std::string signature(void (*)(P...)) {
    std::string s;
    for (auto &c : std::initializer_list<std::string>{code<P>()...}) s += c + " ";
    return s;
}
struct Entry {
    const char *name;
    void (*run)(const unsigned *, const unsigned *, int, uint64_t, void **);
    std::string signature;
};
// static, not inline: g++ would share an inline table between all modules a process loads
static std::vector<Entry> &table() {
    static std::vector<Entry> t;
    return t;
}
struct Add {
    Add(Entry e) { table().push_back(e); }
};
static const Entry *find(const char *name) {
    for (auto &e : table())
        if (!strcmp(e.name, name)) return &e;
    return nullptr;
}
}  // namespace emu

#define EMU_EXPORT(k)                                                                            \
    static emu::Add emu_add_##k({#k,                                                             \
                                 [](const unsigned *g, const unsigned *b, int o, uint64_t r,     \
                                    void **a) { emu::start(&::k, g, b, o, r, a); },              \
                                 emu::signature(&::k)});
#define EMU_VISIBLE extern "C" __attribute__((visibility("default")))

EMU_VISIBLE const char *emu_signature(const char *name) {
    const emu::Entry *e = emu::find(name);
    return e ? e->signature.c_str() : nullptr;
}
EMU_VISIBLE const char *emu_launch(const char *name, const unsigned *grid, const unsigned *block, int order,
                                   uint64_t seed, int skip, void **args) {
    const emu::Entry *e = emu::find(name);
    if (!e) return "no such kernel";
    emu::skipped_line = skip;
    e->run(grid, block, order, seed, args);
    return emu::error.empty() ? nullptr : emu::error.c_str();
}

// The sanitizers want a program of their own: arguments come in and go out through a file of
// (kind, size, bytes) records; kind 0 is a scalar, 1 an array, 2 a null pointer.
#ifdef EMU_PROGRAM
int main(int argc, char **argv) {  // program file kernel gx gy gz bx by bz order seed skip
    if (argc != 12) return 2;
    FILE *f = fopen(argv[1], "rb");
    uint64_t n = 0, head[2];
    if (!f || fread(&n, 8, 1, f) != 1) return 2;
    std::vector<void *> buffer(n), value(n), args(n);
    std::vector<uint64_t> kind(n), size(n);
    for (uint64_t i = 0; i < n; ++i) {
        if (fread(head, 8, 2, f) != 2) return 2;
        kind[i] = head[0], size[i] = head[1];
        buffer[i] = malloc(size[i] ? size[i] : 1);  // one block each: an overrun leaves it
        if (size[i] && fread(buffer[i], 1, size[i], f) != size[i]) return 2;
        value[i] = kind[i] == 2 ? nullptr : buffer[i];
        args[i] = kind[i] ? (void *)&value[i] : buffer[i];
    }
    fclose(f);
    unsigned grid[3], block[3];
    for (int i = 0; i < 3; ++i) grid[i] = atoi(argv[3 + i]), block[i] = atoi(argv[6 + i]);
    const char *error = emu_launch(argv[2], grid, block, atoi(argv[9]), atol(argv[10]), atoi(argv[11]), args.data());
    if (error) return fprintf(stderr, "emulator: %s\n", error), 3;
    if (!(f = fopen(argv[1], "wb"))) return 2;
    for (uint64_t i = 0; i < n; ++i)
        if (kind[i] == 1 && fwrite(buffer[i], 1, size[i], f) != size[i]) return 2;
    fclose(f);
    for (void *p : buffer) free(p);
    return 0;
}
#endif
