// SPDX-License-Identifier: Apache-2.0
#include "loop/timer.h"

#include <algorithm>

#include "base/check.h"

namespace braidway::loop {

void TimerHeap::arm(Timer& timer, Instant deadline) {
    CHECK(timer.fire != nullptr, "a timer that is armed has something to do");
    timer.deadline = std::max(deadline, earliest_);
    if (!timer.armed()) {
        heap_.push_back(&timer);
        place_at(heap_.size() - 1, &timer);
    }
    sift_up(static_cast<size_t>(timer.place));
    sift_down(static_cast<size_t>(timer.place));
}

void TimerHeap::disarm(Timer& timer) {
    if (!timer.armed()) return;
    const auto place = static_cast<size_t>(timer.place);
    CHECK(place < heap_.size() && heap_[place] == &timer, "a timer is disarmed where it was armed");
    timer.place = -1;
    Timer* last = heap_.back();
    heap_.pop_back();
    if (last == &timer) return;
    place_at(place, last);
    sift_up(place);
    sift_down(static_cast<size_t>(last->place));
}

Instant TimerHeap::next_deadline() const {
    return heap_.empty() ? never : heap_.front()->deadline;
}

unsigned TimerHeap::fire_due(Instant now) {
    unsigned fired = 0;
    earliest_ = now + Duration(1);
    while (!heap_.empty() && heap_.front()->deadline <= now) {
        Timer& timer = *heap_.front();
        disarm(timer);
        timer.fire(timer, now);
        ++fired;
    }
    earliest_ = Instant{INT64_MIN};
    return fired;
}

void TimerHeap::place_at(size_t place, Timer* timer) {
    heap_[place] = timer;
    timer->place = static_cast<int32_t>(place);
}

void TimerHeap::sift_up(size_t place) {
    Timer* const timer = heap_[place];
    while (place > 0) {
        const size_t parent = (place - 1) / 2;
        if (heap_[parent]->deadline <= timer->deadline) break;
        place_at(place, heap_[parent]);
        place = parent;
    }
    place_at(place, timer);
}

void TimerHeap::sift_down(size_t place) {
    Timer* const timer = heap_[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1]->deadline < heap_[child]->deadline) {
            ++child;
        }
        if (timer->deadline <= heap_[child]->deadline) break;
        place_at(place, heap_[child]);
        place = child;
    }
    place_at(place, timer);
}

}  // namespace braidway::loop
