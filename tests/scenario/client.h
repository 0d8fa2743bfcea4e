// SPDX-License-Identifier: Apache-2.0
// A program that does I/O on the map of a scenario, one request after the other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "block/block_device.h"

namespace braidway::scenario {

/// What a client is to do, `times` times over. Units: sectors.
struct Work {
    char kind = 'r';  ///< r: read; w: write a pattern; v: read and compare with what w wrote.
    uint64_t offset = 0;
    uint64_t count = 0;
    unsigned times = 1;
    uint8_t pattern = 0xa5;
    /// The block layer cuts larger I/Os into requests of so much.
    uint64_t request_max = UINT64_MAX;
};

/// Does one piece of work on a device, as a program that opened it O_DIRECT would.
class Client final : private block::CompletionStage {
  public:
    Client(block::BlockDevice& device, const Work& work);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void start() { next(); }
    bool done() const { return left_ == 0; }
    /// "EIO:1 ok:3": how often which result came, sorted.
    std::string tally() const;

  private:
    void next();
    void send_request();
    void completed(block::Request& request) override;
    std::string result(IoStatus status) const;

    block::BlockDevice& device_;
    Work work_;
    unsigned left_;
    uint64_t sent_ = 0;               ///< Sectors of the I/O under way.
    IoStatus status_ = IoStatus::ok;  ///< Of the I/O under way, so far.
    std::map<std::string, unsigned> results_;
    std::vector<std::byte> memory_;
    iovec data_{};
    block::Request request_;
};

}  // namespace braidway::scenario
