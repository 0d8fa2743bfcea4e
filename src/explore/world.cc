// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/world.h"

#include <utility>

#include "base/check.h"
#include "braidway/explore/atomic.h"
#include "explore/execution.h"

namespace braidway::explore {

void World::thread(std::string_view name, std::function<void()> body) {
    execution_.add_thread(name, 0, std::move(body));
}

void World::killable_thread(std::string_view name, unsigned process, std::function<void()> body) {
    CHECK(process > 0, "processes are numbered from 1 on");
    execution_.add_thread(name, process, std::move(body));
}

void World::finally(std::function<void()> body) {
    execution_.finally_ = std::move(body);
}

void* World::room(std::string_view name, size_t size_bytes, size_t alignment) {
    void* const object = execution_.arena_.take(size_bytes, alignment);
    execution_.share(name, object, size_bytes);
    return object;
}

void World::at_end(void* object, void (*destroy)(void*)) {
    execution_.shared_.push_back({object, destroy});
}

void check(bool condition, const char* sentence) {
    if (condition) [[likely]]
        return;
    Execution* const execution = Execution::current();
    CHECK(execution != nullptr, "check() is called outside of the threads of an exploration");
    execution->fail(sentence);
}

unsigned choose(unsigned count) {
    if (Execution* const execution = Execution::current()) {
        if (!execution->is_in_thread()) execution->fail("choose() is called outside of a thread");
        if (count == 0 || count > outcomes_max) {
            execution->fail("choose() takes a count from 1 to 65535");
        }
    }
    detail::Operation operation;
    operation.kind = StepKind::choice;
    operation.operand = count;
    detail::perform(operation);
    return static_cast<unsigned>(operation.after);
}

void yield() {
    detail::Operation operation;
    operation.kind = StepKind::yield;
    detail::perform(operation);
}

void note(std::string_view text) {
    if (Execution* const execution = Execution::current()) execution->note(text);
}

bool process_killed(unsigned process) {
    Execution* const execution = Execution::current();
    return execution != nullptr && execution->process_killed(process);
}

namespace detail {

unsigned spin_turns() {
    const Execution* const execution = Execution::current();
    return execution == nullptr ? 0 : execution->spin_turns();
}

void spin_wait() {
    if (Execution* const execution = Execution::current()) execution->rest();
}

void observe(sync::LockEvent event, sync::LockMode mode, const void* lock) {
    if (Execution* const execution = Execution::current()) execution->observe(event, mode, lock);
}

}  // namespace detail
}  // namespace braidway::explore
