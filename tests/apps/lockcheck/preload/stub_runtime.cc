// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/stub_runtime.h"

#include <pthread.h>

#include <array>
#include <atomic>

namespace braidway::lockdep {

class Validator::State {};

Validator::Validator(Surroundings& /*surroundings*/) {
}

namespace {

std::atomic<uintptr_t> watched_begin;
std::atomic<uintptr_t> watched_end;
std::array<lockcheck::Gone, 64> told;
size_t told_count;

}  // namespace

bool Validator::may_have_locks(const void* begin, const void* end) const {
    return reinterpret_cast<uintptr_t>(begin)<watched_end&& reinterpret_cast<uintptr_t>(end)>
        watched_begin;
}

void Validator::memory_gone(Thread& /*thread*/, const void* begin, const void* end, bool quiet) {
    if (told_count == told.size()) return;
    told[told_count++] = {reinterpret_cast<uintptr_t>(begin), reinterpret_cast<uintptr_t>(end),
                          quiet};
}

void Validator::frame_found(Lock& /*lock*/, uint64_t /*block_made_at*/, uint64_t /*offset_bytes*/,
                            bool /*typed*/) {
}

}  // namespace braidway::lockdep

namespace braidway::lockcheck {
namespace {

class NoSurroundings final : public lockdep::Surroundings {
  public:
    void* pages(size_t /*bytes*/) override { return nullptr; }
    size_t capture_stack(std::span<uintptr_t> /*frames*/) override { return 0; }
    void found(const lockdep::Finding& /*finding*/) override {}
};

NoSurroundings no_surroundings;
lockdep::Validator the_validator(no_surroundings);
// Nobody looks into it, and only the validator makes threads.
alignas(lockdep::Thread) std::byte thread_room[sizeof(lockdep::Thread)];
ThreadState the_thread;
bool watching = false;
size_t entries = 0;
Initialiser last_initialiser;

}  // namespace

ThreadState* this_thread() {
    return watching ? &the_thread : nullptr;
}

ThreadState* watched_thread() {
    return this_thread();
}

lockdep::Validator& validator() {
    return the_validator;
}

void in_validator_call(ThreadState& self, void (*work)(void*), void* argument) {
    ++entries;
    ++self.inside;
    work(argument);
    --self.inside;
}

void stub_watch(const void* begin, const void* end) {
    lockdep::watched_begin = reinterpret_cast<uintptr_t>(begin);
    lockdep::watched_end = reinterpret_cast<uintptr_t>(end);
    lockdep::told_count = 0;
    the_thread.thread = reinterpret_cast<lockdep::Thread*>(thread_room);
    watching = true;
}

void stub_stop() {
    watching = false;
}

size_t stub_gone_count() {
    return lockdep::told_count;
}

Gone stub_gone(size_t index) {
    return index < lockdep::told_count ? lockdep::told[index] : Gone{};
}

size_t stub_entries() {
    return entries;
}

ThreadState& stub_thread() {
    pthread_attr_t attributes;
    void* low = nullptr;
    size_t bytes = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    the_thread.thread = reinterpret_cast<lockdep::Thread*>(thread_room);
    the_thread.stack_low = reinterpret_cast<uintptr_t>(low);
    the_thread.stack_high = the_thread.stack_low + bytes;
    return the_thread;
}

const Initialiser& stub_initialiser() {
    return last_initialiser;
}

}  // namespace braidway::lockcheck

int stub_init_call(void* /*lock*/, const void* /*attributes*/) {
    braidway::lockcheck::last_initialiser = braidway::lockcheck::initialiser_on_the_stack();
    return 0;
}
