// fibers.h -- one stack per CUDA thread, all on one OS thread.
//
// A block of 1,024 OS threads meeting at a barrier costs half a millisecond a barrier; a switch
// between fibers costs about as much as a call.  On x86-64 the switch is written out: it saves the
// registers that a called function must keep and swaps the stack.  Elsewhere: ucontext.
#pragma once
#include <cstddef>
#include <cstdint>

// The scheduler itself must not be instrumented: its accesses are not the kernel's.
#define EMU_QUIET __attribute__((noinline, no_sanitize("thread", "address")))

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
extern "C" void emu_switch(void **save_stack, void *new_stack);
asm(R"(
.text
.type emu_switch, @function
emu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch, .-emu_switch
)");

namespace emu {
struct Context {
    void *stack = nullptr;
};
EMU_QUIET static void context_make(Context &c, char *stack, size_t size, void (*entry)()) {
    void **top = (void **)(((uintptr_t)stack + size) & ~(uintptr_t)63);
    *--top = nullptr;  // entry never returns; the stack is aligned as after a call
    *--top = (void *)entry;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    c.stack = top;
}
EMU_QUIET static void context_swap(Context &from, Context &to) { emu_switch(&from.stack, to.stack); }
}  // namespace emu
#else
#include <ucontext.h>
namespace emu {
struct Context {
    ucontext_t u;
};
EMU_QUIET static void context_make(Context &c, char *stack, size_t size, void (*entry)()) {
    getcontext(&c.u);
    c.u.uc_stack.ss_sp = stack;
    c.u.uc_stack.ss_size = size;
    c.u.uc_link = nullptr;
    makecontext(&c.u, entry, 0);
}
EMU_QUIET static void context_swap(Context &from, Context &to) { swapcontext(&from.u, &to.u); }
}  // namespace emu
#endif

// ThreadSanitizer follows fibers if told of every switch.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1  // clang's spelling
#endif
#endif
#if defined(__SANITIZE_THREAD__)
extern "C" {
void *__tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void *);
void __tsan_switch_to_fiber(void *, unsigned);
void *__tsan_get_current_fiber();
void __tsan_acquire(void *);
void __tsan_release(void *);
void __tsan_java_init(unsigned long, unsigned long);
void __tsan_java_alloc(unsigned long, unsigned long);
void __tsan_java_free(unsigned long, unsigned long);
}
#define EMU_TSAN(...) __VA_ARGS__
#else
#define EMU_TSAN(...)
#endif
