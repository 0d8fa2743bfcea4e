// SPDX-License-Identifier: Apache-2.0
// Documents as the runtime would write them, made by hand.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "apps/lockcheck/document.h"

namespace braidway::lockcheck::made {

/// A frame that is resolved already.
inline Frame frame(const std::string& function, unsigned line, const std::string& file = "bank.c") {
    return {.address = 0x1000 + line,
            .module = "/usr/bin/bank",
            .offset = line,
            .function = function,
            .file = "/src/" + file,
            .line = line};
}

/// A frame of the C++ library.
inline Frame library_frame(const std::string& function) {
    Frame made = frame(function, 99, "mutex");
    made.library = true;
    return made;
}

inline Lock lock(uint64_t index, const std::string& name, const std::string& type = "mutex") {
    Lock made;
    made.index = index;
    made.address = 0x7000 + index * 0x40;
    made.type = type;
    if (!name.empty()) made.name = name;
    made.place = "static";
    return made;
}

/// A thread that holds one lock, taken in "take_HOLDS", and wants another one in "take_WANTS".
inline Chain chain(uint64_t thread, uint64_t holds, uint64_t wants, unsigned line) {
    Chain made;
    made.thread = thread;
    made.holds = holds;
    made.holds_mode = "exclusive";
    made.holds_stack = {frame(fmt::format("take_{}", holds), line), frame("main", 90)};
    made.wants = wants;
    made.wants_mode = "exclusive";
    made.wants_stack = {frame(fmt::format("take_{}", wants), line + 1), frame("main", 91)};
    return made;
}

/// Two locks in opposite orders, by two threads.
inline Finding order(uint64_t number = 1) {
    Finding made;
    made.number = number;
    made.kind = "order";
    made.message = "two orders";
    made.locks = {lock(0, "account"), lock(1, "journal")};
    made.chains = {chain(1, 0, 1, 10), chain(2, 1, 0, 20)};
    return made;
}

/// A finding about one lock with one chain, which wants nothing.
inline Finding misuse(const std::string& kind) {
    Finding made;
    made.number = 3;
    made.kind = kind;
    made.locks = {lock(0, "account")};
    made.chains = {chain(1, 0, 0, 10)};
    made.chains[0].wants.reset();
    return made;
}

inline Document document(std::vector<Finding> findings) {
    Document made;
    made.state = "exited";
    made.process = {.id = "77-1",
                    .pid = 77,
                    .parent = 1,
                    .program = "/usr/bin/bank",
                    .arguments = {"bank", "--open"}};
    made.findings = std::move(findings);
    return made;
}

}  // namespace braidway::lockcheck::made
