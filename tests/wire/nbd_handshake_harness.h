// SPDX-License-Identifier: Apache-2.0
// A client at the other end of the handshake machine.
#pragma once

#include <gtest/gtest.h>

#include "nbd_bytes.h"
#include "wire/nbd_handshake.h"

namespace braidway::wire {

using namespace nbd;

class Directory final : public NbdExportDirectory {
  public:
    std::vector<NbdExportInfo> exports;
    bool extended = true;

    size_t count() const override { return exports.size(); }
    NbdExportInfo describe(size_t index) const override { return exports.at(index); }
    bool extended_headers() const override { return extended; }
};

inline NbdExportInfo export_named(std::string_view name, uint32_t id = 7) {
    NbdExportInfo info;
    info.id = id;
    info.name = name;
    info.size_bytes = 1 << 20;
    info.minimum_block = 512;
    info.can_flush = info.can_fua = info.can_trim = info.can_write_zeroes = true;
    info.can_fast_zero = info.can_cache = info.can_multi_conn = true;
    return info;
}

inline Bytes option(uint32_t number, const Bytes& data = {}) {
    return Bytes().u64(option_magic).u32(number).u32(static_cast<uint32_t>(data.size())).add(data);
}

inline Bytes go_data(std::string_view name, std::vector<uint16_t> infos = {}) {
    Bytes data;
    data.string(name).u16(static_cast<uint16_t>(infos.size()));
    for (uint16_t info : infos) data.u16(info);
    return data;
}

inline Bytes meta_data(std::string_view name, std::vector<std::string_view> queries) {
    Bytes data;
    data.string(name).u32(static_cast<uint32_t>(queries.size()));
    for (std::string_view query : queries) data.string(query);
    return data;
}

struct Reply {
    uint32_t option;
    uint32_t type;
    std::string data;
    Parse parse() const { return Parse(std::as_bytes(std::span(data))); }
};

/// A client at the other end of the machine.
class NbdHandshakeTest : public testing::Test {
  protected:
    NbdHandshakeTest() { directory.exports = {export_named("disk")}; }

    void start(uint32_t flags = flag_fixed_newstyle | flag_no_zeroes) { send(Bytes().u32(flags)); }

    void send(const Bytes& bytes) {
        out.clear();
        taken = handshake.feed(bytes.get(), out);
    }

    std::vector<Reply> replies() {
        std::vector<Reply> found;
        Parse parse(out);
        while (parse.left() > 0) {
            EXPECT_EQ(parse.u64(), option_reply_magic);
            Reply reply{parse.u32(), parse.u32(), {}};
            reply.data = parse.text(parse.u32());
            EXPECT_TRUE(parse.good());
            if (!parse.good()) break;
            found.push_back(reply);
        }
        return found;
    }

    /// Sends one option and returns the type of the last reply to it.
    uint32_t ask(uint32_t number, const Bytes& data = {}) {
        send(option(number, data));
        const std::vector<Reply> got = replies();
        if (got.empty()) return 0;
        EXPECT_EQ(got.back().option, number);
        return got.back().type;
    }

    NbdHandshake::Phase phase() const { return handshake.phase(); }

    Directory directory;
    NbdHandshake handshake{directory};
    std::vector<std::byte> out;
    size_t taken = 0;
};

}  // namespace braidway::wire
