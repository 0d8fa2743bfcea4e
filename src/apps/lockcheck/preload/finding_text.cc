// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/finding_text.h"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <cstring>
#include <span>

#include "apps/lockcheck/preload/call_places.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/thread_record.h"

namespace braidway::lockcheck {
namespace {

using lockdep::Chain;
using lockdep::Finding;
using lockdep::Hold;
using lockdep::Lock;
using lockdep::Want;

/// The locks of a finding, each once.
struct Locks {
    std::array<const Lock*, (2 + lockdep::also_held_max) * Finding::chains_max> each{};
    size_t count = 0;

    void add(const Lock* lock) {
        if (lock != nullptr && index(lock) == count) each[count++] = lock;
    }
    size_t index(const Lock* lock) const {
        size_t at = 0;
        while (at < count && each[at] != lock) ++at;
        return at;
    }
};

const char* type_word(lockdep::LockType type) {
    switch (type) {
        case lockdep::LockType::mutex:
            return "mutex";
        case lockdep::LockType::spinlock:
            return "spinlock";
        case lockdep::LockType::rwlock:
            return "rwlock";
        case lockdep::LockType::condition:
            return "condition";
        case lockdep::LockType::thread_end:
            return "thread";
        case lockdep::LockType::semaphore:
            return "semaphore";
        case lockdep::LockType::barrier:
            return "barrier";
    }
    return "lock";
}

}  // namespace

const char* place_word(lockdep::Place place) {
    switch (place) {
        case lockdep::Place::unknown:
            return "unknown";
        case lockdep::Place::static_storage:
            return "static";
        case lockdep::Place::heap:
            return "heap";
        case lockdep::Place::stack:
            return "stack";
        case lockdep::Place::mapped:
            return "mapped";
    }
    return "unknown";
}

namespace {

const char* mode_word(bool shared) {
    return shared ? "\"shared\"" : "\"exclusive\"";
}

}  // namespace

bool find_module(uintptr_t address, const char*& path, uintptr_t& offset) {
    dl_find_object found{};
    if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return false;
    const link_map* const map = found.dlfo_link_map;
    path = map->l_name != nullptr && *map->l_name != '\0' ? map->l_name : settings.program;
    offset = address - map->l_addr;
    return true;
}

void add_frames(Text& text, std::span<const uintptr_t> frames) {
    text.add("[");
    for (size_t at = 0; at < frames.size(); ++at) {
        if (at > 0) text.add(",");
        text.add("{\"address\":\"").add_hex(frames[at]).add("\"");
        const char* module = nullptr;
        uintptr_t offset = 0;
        if (find_module(frames[at] - 1, module, offset)) {
            text.add(",\"module\":").add_quoted(module);
            text.add(",\"offset\":\"").add_hex(offset + 1).add("\"");
        }
        if (call_places.in_wrapper(frames[at])) text.add(",\"wrapper\":true");
        text.add("}");
    }
    text.add("]");
}

namespace {

void add_stack(Text& text, lockdep::StackId id) {
    std::array<uintptr_t, 128> room{};
    add_frames(text, id == 0 ? std::span<const uintptr_t>{} : validator().stack(id, room));
}

/// Of a pseudo lock that stands for a thread's end, whose address is its number with a high bit.
uint64_t thread_number(const Lock& lock) {
    const auto address = reinterpret_cast<uintptr_t>(lock.address.load(std::memory_order_relaxed));
    return address & UINT32_MAX;
}

bool is_thread(const Lock& lock) {
    return lock.traits.type == lockdep::LockType::thread_end;
}

void add_lock_name(Text& text, const Lock& lock) {
    if (is_thread(lock)) {
        text.add("\"end of thread ").add_number(thread_number(lock)).add("\"");
        return;
    }
    const char* const name = lock.making.name;
    // A mangled name: who finds the symbol again, with its module, can say it in C++'s words.
    text.add_quoted_or_null(name != nullptr && std::string_view(name).starts_with("_Z") ? nullptr
                                                                                        : name);
}

void add_lock(Text& text, const Lock& lock, size_t index) {
    const lockdep::Making& making = lock.making;
    const auto address = reinterpret_cast<uintptr_t>(lock.address.load(std::memory_order_relaxed));
    text.add("{\"index\":").add_number(index).add(",\"address\":\"").add_hex(address);
    text.add("\",\"type\":\"").add(type_word(lock.traits.type)).add("\",\"name\":");
    add_lock_name(text, lock);
    text.add(",\"place\":\"").add(place_word(making.place)).add("\",\"class\":");
    text.add_number(lock.class_id);
    const char* module = nullptr;
    uintptr_t offset = 0;
    if (making.place == lockdep::Place::static_storage && find_module(address, module, offset)) {
        text.add(",\"module\":").add_quoted(module);
        text.add(",\"module_offset\":\"").add_hex(offset).add("\"");
    }
    if (making.block_bytes != 0) {
        text.add(",\"offset\":").add_number(making.offset_bytes);
        text.add(",\"size\":").add_number(making.block_bytes);
    }
    if (lock.traits.type == lockdep::LockType::rwlock)
        text.add(",\"fair\":").add(lock.traits.fair ? "true" : "false");
    text.add(",\"created\":");
    const bool allocated = making.place == lockdep::Place::heap && making.block_made_at != 0;
    if (making.stack == 0 && !allocated) {
        text.add("null}");
        return;
    }
    text.add("{\"thread\":").add_number(making.thread).add(",\"stack\":");
    // Without an initialisation, where its memory was asked for.
    if (making.stack != 0)
        add_stack(text, making.stack);
    else
        add_frames(text, {&making.block_made_at, 1});
    text.add("}}");
}

void add_index(Text& text, const Locks& locks, const Lock* lock) {
    if (lock == nullptr) {
        text.add("null");
    } else {
        text.add_number(locks.index(lock));
    }
}

void add_chain(Text& text, const Chain& chain, const Locks& locks) {
    char name[16];
    const bool named = name_of_thread(chain.thread, name);
    text.add("{\"thread\":").add_number(chain.thread).add(",\"thread_name\":");
    text.add_quoted_or_null(named ? name : nullptr);
    text.add(",\"holds\":");
    add_index(text, locks, chain.holds);
    text.add(",\"holds_mode\":").add(mode_word(chain.holds_as == Hold::shared));
    text.add(",\"holds_stack\":");
    add_stack(text, chain.holds_stack);
    text.add(",\"wants\":");
    add_index(text, locks, chain.wants);
    text.add(",\"wants_mode\":").add(mode_word(chain.wants_as != Want::write));
    text.add(",\"wants_stack\":");
    add_stack(text, chain.wants_stack);
    text.add(",\"also_held\":[");
    for (size_t at = 0; at < chain.also_held.size() && chain.also_held[at] != nullptr; ++at) {
        if (at > 0) text.add(",");
        add_index(text, locks, chain.also_held[at]);
    }
    text.add("]}");
}

void add_lock_words(Text& text, const Lock& lock) {
    if (is_thread(lock)) {
        text.add("the end of thread ").add_number(thread_number(lock));
        return;
    }
    text.add(type_word(lock.traits.type)).add(" ");
    if (lock.making.name != nullptr) {
        text.add(lock.making.name);
    } else {
        text.add_hex(reinterpret_cast<uintptr_t>(lock.address.load(std::memory_order_relaxed)));
    }
}

/// What a finding of this kind says before the steps are told.
const char* opening(lockdep::FindingKind kind) {
    switch (kind) {
        case lockdep::FindingKind::order:
            return "locks are taken in orders that can block each other";
        case lockdep::FindingKind::recursive_read:
            return "a fair lock is read twice by one thread, and a writer may come between";
        case lockdep::FindingKind::relock:
            return "a thread waits for a lock that it holds";
        case lockdep::FindingKind::unlock_unheld:
            return "a lock is unlocked that the thread does not hold";
        case lockdep::FindingKind::destroy_held:
            return "a lock goes while it is held";
        case lockdep::FindingKind::exit_held:
            return "a thread ends and holds a lock";
        case lockdep::FindingKind::held_while_wait:
            return "a lock is held in a wait that its notifier needs";
        case lockdep::FindingKind::held_while_join:
            return "a lock is held while a thread is joined that needs it";
        case lockdep::FindingKind::signal:
            return "a signal handler takes a lock that the interrupted code may hold";
        case lockdep::FindingKind::hang:
            return "threads wait for each other, now";
        case lockdep::FindingKind::held_while_sleep:
            return "a lock is held at a place that may sleep";
    }
    return "?";
}

constexpr std::string_view unprinted = "\"printed\":false";
constexpr std::string_view printed = "\"printed\":true ";

}  // namespace

void add_sentence(Text& text, const Finding& finding) {
    text.add(opening(finding.kind));
    if (finding.remark != nullptr) text.add(" (").add(finding.remark).add(")");
    const char* between = ": ";
    for (const Chain& chain : finding.steps()) {
        text.add(between).add("thread ").add_number(chain.thread);
        if (chain.holds != nullptr) {
            text.add(" holds ");
            add_lock_words(text, *chain.holds);
        }
        if (chain.wants != nullptr) {
            text.add(chain.holds != nullptr ? " and wants " : " wants ");
            add_lock_words(text, *chain.wants);
        }
        between = "; ";
    }
}

void add_finding(Text& text, const Finding& finding, uint32_t number) {
    Locks locks;
    for (const Chain& chain : finding.steps()) {
        locks.add(chain.holds);
        locks.add(chain.wants);
    }
    // Behind those that the finding is about.
    for (const Chain& chain : finding.steps())
        for (const Lock* const held : chain.also_held) locks.add(held);
    text.add("{\"number\":").add_number(number).add(",\"kind\":\"").add(word(finding.kind));
    text.add("\",").add(unprinted).add(",\"message\":");
    Text sentence;
    add_sentence(sentence, finding);
    text.add_quoted(sentence.view());
    sentence.clear_and_free();
    if (finding.remark != nullptr) text.add(",\"remark\":").add_quoted(finding.remark);
    text.add(",\"locks\":[");
    for (size_t at = 0; at < locks.count; ++at) {
        if (at > 0) text.add(",");
        add_lock(text, *locks.each[at], at);
    }
    text.add("],\"chains\":[");
    for (size_t at = 0; at < finding.steps().size(); ++at) {
        if (at > 0) text.add(",");
        add_chain(text, finding.steps()[at], locks);
    }
    text.add("],\"suppressed_by\":null}");
}

void add_plain_line(Text& text, const Finding& finding) {
    text.add("lockcheck: ").add(finding.note ? "note: " : "").add(word(finding.kind)).add(": ");
    add_sentence(text, finding);
    text.add("\n");
}

void mark_as_printed(Text& list) {
    // Inside of texts quotes have a backslash before them.
    char* at = list.data();
    char* const end = at + list.size();
    while (at != nullptr) {
        at = static_cast<char*>(
            memmem(at, static_cast<size_t>(end - at), unprinted.data(), unprinted.size()));
        if (at == nullptr) return;
        std::memcpy(at, printed.data(), printed.size());
        at += printed.size();
    }
}

}  // namespace braidway::lockcheck
