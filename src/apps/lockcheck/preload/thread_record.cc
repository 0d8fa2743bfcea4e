// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/thread_record.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstring>

#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr size_t guard_bytes = 4096;
constexpr size_t records_at_once = 16;

constinit OwnLock records_lock;
constinit ThreadRecord* all_records = nullptr;
constinit ThreadRecord* spare_records = nullptr;

/// Names of threads that have ended, by number: blocks that are made when they are needed.
struct EndedNames {
    static constexpr size_t block_names = 1024;
    static constexpr size_t blocks_max = limits::lockcheck_thread_names_max / block_names;
    using Name = char[16];
    std::atomic<Name*> blocks[blocks_max];
};
constinit EndedNames ended_names{};

void recycle(ThreadRecord& record) {
    const OwnGuard guard(records_lock);
    record.phase.store(ThreadRecord::Phase::unused, std::memory_order_relaxed);
    record.next_spare = spare_records;
    spare_records = &record;
}

ThreadRecord* take_spare_record() {
    const OwnGuard guard(records_lock);
    if (spare_records == nullptr) {
        auto* const made =
            static_cast<ThreadRecord*>(map_pages(records_at_once * sizeof(ThreadRecord)));
        if (made == nullptr) return nullptr;
        for (size_t i = 0; i < records_at_once; ++i) {
            ThreadRecord* const record = ::new (made + i) ThreadRecord;
            record->next = all_records;
            all_records = record;
            record->next_spare = spare_records;
            spare_records = record;
        }
    }
    ThreadRecord* const record = spare_records;
    spare_records = record->next_spare;
    return record;
}

}  // namespace

ThreadRecord* make_thread_record(lockdep::ThreadNumber maker) {
    ThreadRecord* const record = take_spare_record();
    if (record == nullptr) return nullptr;
    record->thread = validator().thread_started(maker);
    if (record->thread == nullptr) {
        recycle(*record);
        return nullptr;
    }
    record->number = record->thread->number();
    record->lowest_stack_lock = UINTPTR_MAX;
    record->lends = 0;
    record->first_frame = 0;
    record->inside = 0;
    record->handle_state.store(ThreadRecord::HandleState::unknown, std::memory_order_relaxed);
    record->stack_bytes = 0;
    record->stack_given = nullptr;
    record->stack_low = record->stack_high = 0;
    record->start = nullptr;
    record->start_c11 = nullptr;
    record->handler_count = 0;
    record->pending = {};
    record->pending_address = nullptr;
    for (ThreadRecord::Meeting& each : record->meetings) each = {};
    record->claims.store(1, std::memory_order_relaxed);
    record->phase.store(ThreadRecord::Phase::running, std::memory_order_release);
    return record;
}

void drop_claim(ThreadRecord& record) {
    if (record.claims.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(record);
}

void set_handle(ThreadRecord& record, pthread_t handle) {
    record.handle.store(handle, std::memory_order_relaxed);
    auto expected = ThreadRecord::HandleState::unknown;
    record.handle_state.compare_exchange_strong(expected, ThreadRecord::HandleState::known,
                                                std::memory_order_release);
}

void thread_is_joined(ThreadRecord& record) {
    record.handle_state.store(ThreadRecord::HandleState::gone, std::memory_order_release);
    drop_claim(record);
}

void thread_is_detached(ThreadRecord& record) {
    auto expected = ThreadRecord::Phase::running;
    if (record.phase.compare_exchange_strong(expected, ThreadRecord::Phase::unjoined)) return;
    if (expected == ThreadRecord::Phase::ended) thread_is_joined(record);
}

ThreadRecord* find_thread(pthread_t handle) {
    const OwnGuard guard(records_lock);
    for (ThreadRecord* record = all_records; record != nullptr; record = record->next) {
        const auto phase = record->phase.load(std::memory_order_acquire);
        if (phase != ThreadRecord::Phase::running && phase != ThreadRecord::Phase::ended) continue;
        if (record->handle_state.load(std::memory_order_acquire) ==
                ThreadRecord::HandleState::known &&
            record->handle.load(std::memory_order_relaxed) == handle) {
            return record;
        }
    }
    return nullptr;
}

bool make_own_stack(ThreadRecord& record) {
    // Kept when the record is used for another thread.
    auto* const pages = static_cast<std::byte*>(map_pages(own_stack_bytes + guard_bytes));
    if (pages == nullptr) return false;
    raw_call(SYS_mprotect, as_word(pages), guard_bytes, PROT_NONE);
    record.own_stack = pages + guard_bytes + own_stack_bytes;
    return true;
}

void find_stack_bounds(ThreadRecord& record, bool main_thread) {
    if (main_thread) {
        // The kernel puts the program's name at the stack's top.
        const uintptr_t top = getauxval(AT_EXECFN);
        rlimit limit{};
        getrlimit(RLIMIT_STACK, &limit);
        const uintptr_t bytes = limit.rlim_cur < limits::lockcheck_main_stack_bytes_max
                                    ? limit.rlim_cur
                                    : limits::lockcheck_main_stack_bytes_max;
        record.stack_high = top;
        record.stack_low = top > bytes ? top - bytes : 0;
        return;
    }
    if (record.stack_bytes == 0) return;
    if (record.stack_given != nullptr) {
        record.stack_low = reinterpret_cast<uintptr_t>(record.stack_given);
        record.stack_high = record.stack_low + record.stack_bytes;
        return;
    }
    // The thread's descriptor is at the top of its stack.
    record.stack_high = (pthread_self() + 4095) & ~uintptr_t{4095};
    record.stack_low = record.stack_high - record.stack_bytes;
}

void keep_thread_name(lockdep::ThreadNumber number) {
    const size_t block = number / EndedNames::block_names;
    if (block >= EndedNames::blocks_max) return;
    EndedNames::Name* names = ended_names.blocks[block].load(std::memory_order_acquire);
    if (names == nullptr) {
        const OwnGuard guard(records_lock);
        names = ended_names.blocks[block].load(std::memory_order_acquire);
        if (names == nullptr) {
            names = static_cast<EndedNames::Name*>(
                map_pages(EndedNames::block_names * sizeof(EndedNames::Name)));
            if (names == nullptr) return;
            ended_names.blocks[block].store(names, std::memory_order_release);
        }
    }
    raw_call(SYS_prctl, PR_GET_NAME, as_word(names[number % EndedNames::block_names]));
}

bool name_of_thread(lockdep::ThreadNumber number, char (&name)[16]) {
    int kernel_id = 0;
    {
        const OwnGuard guard(records_lock);
        for (ThreadRecord* record = all_records; record != nullptr; record = record->next) {
            if (record->phase.load(std::memory_order_acquire) != ThreadRecord::Phase::unused &&
                record->number == number) {
                kernel_id = record->kernel_id.load(std::memory_order_relaxed);
            }
        }
    }
    std::memset(name, 0, sizeof name);
    const size_t block = number / EndedNames::block_names;
    if (block < EndedNames::blocks_max) {
        const auto* const names = ended_names.blocks[block].load(std::memory_order_acquire);
        if (names != nullptr)
            std::memcpy(name, names[number % EndedNames::block_names], sizeof name);
    }
    if (name[0] != '\0' || kernel_id == 0) return name[0] != '\0';
    char path[64] = "/proc/self/task/";
    char* at = path + std::strlen(path);
    char digits[12];
    size_t count = 0;
    for (int rest = kernel_id; rest > 0; rest /= 10) digits[count++] = char('0' + rest % 10);
    while (count > 0) *at++ = digits[--count];
    stpcpy(at, "/comm");
    const int fd = open_file(path, O_RDONLY);
    if (fd < 0) return false;
    const long length = raw_call(SYS_read, fd, as_word(name), sizeof name - 1);
    close_file(fd);
    if (length <= 0) return false;
    name[length] = '\0';
    if (char* const newline = std::strchr(name, '\n')) *newline = '\0';
    return name[0] != '\0';
}

void lock_thread_records() {
    records_lock.lock();
}

void unlock_thread_records() {
    records_lock.unlock();
}

void keep_only(ThreadRecord& survivor) {
    records_lock.forget_holder();
    survivor.kernel_id.store(static_cast<int>(raw_call(SYS_gettid)), std::memory_order_relaxed);
    for (ThreadRecord* record = all_records; record != nullptr; record = record->next) {
        const auto phase = record->phase.load(std::memory_order_relaxed);
        if (record != &survivor && phase != ThreadRecord::Phase::unused) recycle(*record);
    }
}

}  // namespace braidway::lockcheck
