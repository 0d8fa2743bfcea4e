// SPDX-License-Identifier: Apache-2.0
// A file or block device as the lowest device of a path.
#pragma once

#include <memory>
#include <string>

#include "block/block_device.h"
#include "loop/loop.h"
#include "path/file_store.h"

namespace braidway::path {

/// How a file is read and written.
enum class FileMode : uint8_t {
    direct,    ///< O_DIRECT: no page cache of this host between client and storage.
    buffered,  ///< Through the page cache, where the file does not allow direct I/O.
};

/// A file that has been opened and looked at; everything that may sleep is behind it.
struct OpenFile {
    int fd = -1;  ///< Owned by this value until a FileDevice adopts it.
    FileMode mode = FileMode::direct;
    bool block_device = false;
    StoreIdentity identity;
    std::shared_ptr<FileStore> store;
    block::Geometry geometry;
    std::string remark;  ///< For the log: why buffered, what was rounded down; empty = nothing.

    OpenFile() = default;
    OpenFile(OpenFile&& other) noexcept;
    OpenFile& operator=(OpenFile&& other) noexcept;
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile();
};

/// Opens `path`, read-write unless `read_only`, with O_DIRECT where it allows; takes the lock of
/// its store; learns the holes of a sparse file. May sleep: not for a lane.
/// Errors: one line with the path name and the system's reason; what it must be (a regular file or
/// a block device, not empty).
Result<OpenFile> open_file(const std::string& path, bool read_only, FileStores& stores);

/// A file or block device.
///
/// flush is fdatasync; discard and write_zeroes are fallocate, or writes of zeroes where the file
/// system cannot; block_status asks the file system on the helper thread. Transfers that come back
/// short are continued. Results are classified by io_status_from_errno; a read past the end of a
/// file that shrank is an io error.
///
/// Shapes:  block size 512, or what O_DIRECT needs; a size that is no multiple is rounded down.
/// Errors:  every request ends with `offline` while no file is open.
/// Threads: one lane.
class FileDevice final : public block::BlockDevice, private block::CompletionStage {
  public:
    explicit FileDevice(loop::Loop& loop);
    ~FileDevice() override;

    /// Takes over a file that was opened; the device must not have one, and once it has a geometry
    /// it is kept: the caller compares first.
    void adopt(OpenFile file);
    bool is_open() const { return file_.fd >= 0; }
    const OpenFile& file() const { return file_; }

    const block::Geometry& geometry() const override { return geometry_; }
    void begin(block::Request& request) override;

  private:
    struct StatusQuery;

    static FileDevice* device_of(block::Request& request);
    /// Its frames hold the state of multi-step operations; nothing below it completes them.
    void completed(block::Request&) override { CHECK(false, "no device is below a file"); }
    void transfer(block::Request& request);
    void transfer_done(block::Request& request, int32_t result);
    void zero_or_discard(block::Request& request);
    void fallocate_done(block::Request& request, int32_t result);
    void write_zero_pages(block::Request& request);
    void sync_then_finish(block::Request& request);
    void end(block::Request& request, IoStatus status);
    void begin_change(block::Request& request);
    void end_change(block::Request& request, IoStatus status);
    void ask_status(block::Request& request);
    void status_known(StatusQuery& query);

    loop::Loop& loop_;
    OpenFile file_;
    loop::File handle_;
    block::Geometry geometry_;
    std::unique_ptr<StatusQuery> query_;
    IntrusiveList<block::Request> status_waiting_;
};

}  // namespace braidway::path
