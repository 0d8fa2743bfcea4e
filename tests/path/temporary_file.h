// SPDX-License-Identifier: Apache-2.0
// A file that goes with the test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace braidway::path {

class TemporaryFile {
  public:
    /// Makes a sparse file. `folder`: /dev/shm is another file system than the default.
    explicit TemporaryFile(uint64_t size_bytes, const std::string& folder = testing::TempDir()) {
        name_ = folder + "/braidway_path_test_XXXXXX";
        fd_ = mkostemp(name_.data(), O_CLOEXEC);
        EXPECT_GE(fd_, 0) << name_;
        truncate(size_bytes);
    }
    ~TemporaryFile() {
        close(fd_);
        unlink(name_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    const std::string& name() const { return name_; }
    void truncate(uint64_t size_bytes) {
        EXPECT_EQ(ftruncate(fd_, static_cast<off_t>(size_bytes)), 0);
    }
    void fill(uint64_t offset_bytes, uint64_t length_bytes, char value) {
        const std::vector<char> data(length_bytes, value);
        EXPECT_EQ(pwrite(fd_, data.data(), length_bytes, static_cast<off_t>(offset_bytes)),
                  static_cast<ssize_t>(length_bytes));
        EXPECT_EQ(fsync(fd_), 0);
    }
    char byte_at(uint64_t offset_bytes) const {
        char value = '?';
        EXPECT_EQ(pread(fd_, &value, 1, static_cast<off_t>(offset_bytes)), 1);
        return value;
    }

  private:
    std::string name_;
    int fd_ = -1;
};

}  // namespace braidway::path
