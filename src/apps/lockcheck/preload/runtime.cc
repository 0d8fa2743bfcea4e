// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <span>

#include "apps/lockcheck/preload/exits.h"
#include "apps/lockcheck/preload/heap.h"
#include "apps/lockcheck/preload/own_stack.h"
#include "apps/lockcheck/preload/processes.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/signals.h"
#include "apps/lockcheck/preload/stack_locks.h"
#include "apps/lockcheck/preload/threads.h"
#include "apps/lockcheck/preload/type_merging.h"
#include "apps/lockcheck/preload/watch.h"
#include "lockdep/surroundings.h"

namespace braidway::lockcheck {

constinit thread_local ThreadRecord* current_record = nullptr;

namespace {

/// The thread's last destructors run: whatever they lock is not watched.
thread_local bool thread_is_over __attribute__((tls_model("initial-exec"))) = false;

enum class Readiness : uint32_t { none, starting, ready, impossible };
constinit std::atomic<Readiness> readiness = Readiness::none;
constinit int own_process = 0;
constinit uintptr_t library_begin = 0;
constinit uintptr_t library_end = 0;

/// Frames of a stack walk, without those of this library.
struct Frames {
    std::span<uintptr_t> room;
    size_t count = 0;
};

_Unwind_Reason_Code take_frame(_Unwind_Context* context, void* argument) {
    Frames& frames = *static_cast<Frames*>(argument);
    int before = 0;
    uintptr_t address = _Unwind_GetIPInfo(context, &before);
    if (address == 0) return _URC_END_OF_STACK;
    if (address >= library_begin && address < library_end) return _URC_NO_REASON;
    // Whoever looks it up takes one off, for the call; where a signal came there was none.
    if (before != 0) ++address;
    if (frames.count == frames.room.size()) return _URC_END_OF_STACK;
    frames.room[frames.count++] = address;
    return _URC_NO_REASON;
}

/// What the validator asks for, from the process that it runs in.
class Process final : public lockdep::Surroundings {
  public:
    void* pages(size_t bytes) override { return map_pages(bytes); }
    size_t capture_stack(std::span<uintptr_t> room) override {
        Frames frames{room};
        _Unwind_Backtrace(take_frame, &frames);
        return frames.count;
    }
    void found(const lockdep::Finding& finding) override { report_finding(finding); }
    bool is_ring(const lockdep::Finding& finding) override { return !is_nesting_by_type(finding); }
};

/// Made when the library gets ready and never destroyed.
alignas(Process) unsigned char process_memory[sizeof(Process)];
alignas(lockdep::Validator) unsigned char validator_memory[sizeof(lockdep::Validator)];
constinit lockdep::Validator* the_validator = nullptr;

void find_library() {
    dl_find_object found{};
    if (_dl_find_object(reinterpret_cast<void*>(&find_library), &found) != 0) return;
    library_begin = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
    library_end = reinterpret_cast<uintptr_t>(found.dlfo_map_end);
}

void get_ready(int argument_count, char** arguments, char** environment) {
    const KeptErrno kept;
    find_real_functions();
    find_library();
    own_process = process_id();
    read_settings(argument_count, arguments, environment);
    prepare_heap();
    auto* const process = ::new (process_memory) Process;
    the_validator = ::new (validator_memory) lockdep::Validator(*process);
    if (settings.assume_writers) the_validator->assume_writers(true);
    ThreadRecord* const main_thread = make_thread_record(0);
    if (main_thread == nullptr) {
        readiness.store(Readiness::impossible, std::memory_order_release);
        return;
    }
    find_stack_bounds(*main_thread, true);
    start_reports();
    watch_thread_ends();
    watch_forks();
    watch_exits();
    readiness.store(Readiness::ready, std::memory_order_release);
    adopt_record(*main_thread, blocked_signals());
}

/// With -z initfirst: before all other constructors but those of the C library's start.
__attribute__((constructor)) void start(int argument_count, char** arguments, char** environment) {
    Readiness expected = Readiness::none;
    if (readiness.compare_exchange_strong(expected, Readiness::starting))
        get_ready(argument_count, arguments, environment);
}

}  // namespace

bool make_ready() {
    const Readiness now = readiness.load(std::memory_order_acquire);
    if (now == Readiness::ready) [[likely]]
        return true;
    Readiness expected = Readiness::none;
    if (readiness.compare_exchange_strong(expected, Readiness::starting)) {
        // Somebody calls before any constructor ran: what the constructor would be given is read
        // from where the C library has it.
        char* nothing = nullptr;
        get_ready(0, &nothing, environ == nullptr ? &nothing : environ);
        return readiness.load() == Readiness::ready;
    }
    if (real.pthread_mutex_lock == nullptr) find_real_functions();
    return false;
}

ThreadState* this_thread() {
    return current_record;
}

ThreadState* watched_thread() {
    ThreadRecord* const self = current_record;
    if (self != nullptr) return self->inside == 0 ? self : nullptr;
    if (!make_ready() || thread_is_over) return nullptr;
    // A thread that was not made by pthread_create() here.
    const KeptErrno kept;
    uint64_t old_mask = 0;
    block_all_signals(old_mask);
    ThreadRecord* const record = make_thread_record(0);
    if (record != nullptr) {
        record->stack_low = 0;
        record->stack_high = 0;
        adopt_record(*record, old_mask);
    }
    restore_signals(old_mask);
    return record;
}

void adopt_record(ThreadRecord& record, uint64_t blocked) {
    record.kernel_id.store(static_cast<int>(raw_call(SYS_gettid)), std::memory_order_relaxed);
    set_handle(record, pthread_self());
    record.rounds = 0;
    current_record = &record;
    ++record.inside;
    arm_thread_end(record);
    if (blocked != 0) validator().signals_blocked(*record.thread, blocked);
    if (record.stack_low < record.stack_high) know_stack(record);
    --record.inside;
}

void stop_watching_thread() {
    thread_is_over = true;
    current_record = nullptr;
}

bool in_own_process() {
    return own_process == process_id();
}

void in_new_process() {
    own_process = process_id();
}

lockdep::Validator& validator() {
    return *the_validator;
}

void in_validator_call(ThreadState& self, void (*work)(void*), void* argument) {
    if (self.inside > 0) {
        work(argument);
        return;
    }
    const KeptErrno kept;
    uint64_t old_mask = 0;
    block_all_signals(old_mask);
    ++self.inside;
    if (self.own_stack != nullptr || make_own_stack(static_cast<ThreadRecord&>(self))) {
        lockcheck_call_on_stack(self.own_stack, work, argument);
    } else {
        work(argument);
    }
    --self.inside;
    restore_signals(old_mask);
}

}  // namespace braidway::lockcheck
