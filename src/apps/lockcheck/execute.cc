// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/execute.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace braidway::lockcheck {
namespace {

/// Pointers as execve(2) wants them; they live as long as `words`.
std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    list.reserve(words.size() + 1);
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

}  // namespace

std::vector<std::string> changed_environment(const char* const* before,
                                             const std::vector<Variable>& changes) {
    std::vector<std::string> after;
    for (; *before != nullptr; ++before) {
        const std::string_view entry = *before;
        const std::string_view name = entry.substr(0, entry.find('='));
        if (std::ranges::find(changes, name, &Variable::name) == changes.end())
            after.emplace_back(entry);
    }
    for (const Variable& change : changes)
        if (change.value) after.push_back(fmt::format("{}={}", change.name, *change.value));
    return after;
}

int execute(const Start& start) {
    std::vector<std::string> environment = changed_environment(environ, start.variables);
    std::vector<std::string> arguments = start.arguments;
    const std::vector<char*> variables = pointers(environment);
    execve(start.path.c_str(), pointers(arguments).data(), variables.data());
    if (errno != ENOEXEC) return errno;
    arguments.front() = start.path;
    arguments.insert(arguments.begin(), "/bin/sh");
    execve("/bin/sh", pointers(arguments).data(), variables.data());
    return errno;
}

}  // namespace braidway::lockcheck
