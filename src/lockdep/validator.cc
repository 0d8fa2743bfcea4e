// SPDX-License-Identifier: Apache-2.0
#include "lockdep/validator.h"

#include <new>

#include "lockdep/validator_state.h"

namespace braidway::lockdep {

Validator::Validator(Surroundings& surroundings) {
    constexpr size_t bytes = (sizeof(State) + 4095) & ~size_t{4095};
    void* const memory = surroundings.pages(bytes);
    if (memory == nullptr) return;
    State* const state = ::new (memory) State(surroundings);
    if (state->start()) state_ = state;
}

bool Validator::State::start() {
    return locks.start() && classes.start() && stacks.start() && chains.start();
}

std::span<const uintptr_t> Validator::stack(StackId id, std::span<uintptr_t> room) const {
    return state_ == nullptr ? room.first(0) : state_->stacks.get(id, room);
}

void Validator::assume_writers(bool assume) {
    if (state_ == nullptr) return;
    const InternalGuard guard(state_->lock);
    state_->writers_assumed.store(assume, std::memory_order_relaxed);
    state_->graph.assume_writers(assume);
}

void Validator::process_exits() {
    if (state_ != nullptr) state_->exiting.store(true, std::memory_order_relaxed);
}

bool Validator::full() const {
    return state_ == nullptr || state_->full.load(std::memory_order_relaxed);
}

size_t Validator::memory_bytes() const {
    if (state_ == nullptr) return 0;
    const InternalGuard guard(state_->lock);
    return sizeof(State) + state_->arena.used_bytes();
}

}  // namespace braidway::lockdep
