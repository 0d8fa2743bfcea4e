// SPDX-License-Identifier: Apache-2.0
// A folder for one test.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace braidway::lockcheck {

/// Is there as long as this object.
class Folder {
  public:
    Folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "lockcheck-test-XXXXXX";
        path_ = mkdtemp(pattern.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path(std::string_view name) const { return (path_ / name).string(); }
    /// Makes a file with this text. Returns its path.
    std::string file(std::string_view name, std::string_view text) const {
        std::ofstream(path_ / name, std::ios::binary) << text;
        return path(name);
    }
    /// Makes a file that can be executed.
    std::string program(std::string_view name, std::string_view text) const {
        file(name, text);
        std::filesystem::permissions(path_ / name, std::filesystem::perms::owner_all);
        return path(name);
    }

  private:
    std::filesystem::path path_;
};

}  // namespace braidway::lockcheck
