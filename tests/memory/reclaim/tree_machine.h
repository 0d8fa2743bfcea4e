// SPDX-License-Identifier: Apache-2.0
// A machine whose files are those that a test gives it.
#pragma once

#include <cerrno>
#include <map>
#include <string>

#include "memory/reclaim/machine.h"

namespace braidway::memory {

/// Threads: one at a time.
class TreeMachine : public Machine {
  public:
    std::map<std::string, std::string> files;
    bool stop = false;
    int64_t ns = 0;

    Result<std::string> read(const std::string& path) const override {
        const auto file = files.find(path);
        if (file == files.end()) return fail(path + ": not there", ENOENT);
        return file->second;
    }
    Result<void> write(const std::string& path, std::string_view) override {
        return fail(path + ": read only", EACCES);
    }
    Result<std::vector<std::string>> list(const std::string& path) const override {
        std::vector<std::string> names;
        for (const auto& [name, text] : files) {
            if (!name.starts_with(path + "/")) continue;
            const std::string rest = name.substr(path.size() + 1);
            const std::string first = rest.substr(0, rest.find('/'));
            if (names.empty() || names.back() != first) names.push_back(first);
        }
        if (names.empty()) return fail(path + ": not there", ENOENT);
        return names;
    }
    Result<void> writable(const std::string& path) const override {
        return fail(path + ": read only", EACCES);
    }
    uint64_t page_bytes() const override { return 4096; }
    unsigned cpus() const override { return 2; }
    Instant now() const override { return {ns}; }
    bool pause(Duration length) override {
        ns += length.count();
        return !stop;
    }
    bool cancelled() const override { return stop; }

    /// As /sys tells the nodes that have memory.
    void set_nodes(const std::string& list) {
        files["/sys/devices/system/node/has_memory"] = list + "\n";
        files["/sys/devices/system/node/online"] = list + "\n";
    }
};

}  // namespace braidway::memory
