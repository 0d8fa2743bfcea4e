// SPDX-License-Identifier: Apache-2.0
// Any bytes as a client's handshake: the same answers however they are cut, bounded output, and a
// session that only promises what the export has.
#include <bit>
#include <vector>

#include "base/check.h"
#include "fuzz_pieces.h"
#include "wire/nbd_handshake.h"

namespace braidway {
namespace {

using wire::NbdHandshake;

class Directory final : public wire::NbdExportDirectory {
  public:
    explicit Directory(unsigned shape) : shape_(shape) {}
    size_t count() const override { return shape_ % 4; }
    wire::NbdExportInfo describe(size_t index) const override {
        static constexpr std::string_view names[] = {"disk", "b", "third"};
        wire::NbdExportInfo info;
        info.id = static_cast<uint32_t>(index);
        info.name = names[index];
        info.description = index == 0 ? "a disk" : "";
        info.size_bytes = 1000000;
        info.minimum_block = index == 1 ? 4096 : 1;
        info.read_only = index == 2;
        info.can_flush = info.can_fua = info.can_trim = info.can_write_zeroes = true;
        info.can_fast_zero = info.can_cache = true;
        return info;
    }
    bool extended_headers() const override { return (shape_ & 4) != 0; }
    wire::NbdTls tls() const override { return static_cast<wire::NbdTls>(shape_ / 8 % 3); }

  private:
    unsigned shape_;
};

struct Run {
    std::vector<std::byte> output;
    NbdHandshake::Phase phase;
    wire::NbdSession session;
    size_t taken = 0;
    bool encrypted = false;
};

/// One LIST of three exports, or one option's infos, above the soft limit.
constexpr size_t one_answer_bytes_max = 1024;

Run run(std::span<const std::byte> bytes, const Directory& directory, uint64_t seed) {
    NbdHandshake handshake(directory);
    Run run;
    std::vector<std::byte> out;
    fuzz::Pieces pieces(bytes, seed);
    for (bool moved = true; moved || !pieces.all_arrived();) {
        out.clear();
        const size_t taken = handshake.feed(pieces.next(), out);
        CHECK(out.size() < NbdHandshake::output_bytes_soft_max + one_answer_bytes_max,
              "output is bounded whatever comes in");
        pieces.take(taken);
        run.taken += taken;
        run.output.insert(run.output.end(), out.begin(), out.end());
        moved = taken > 0 || !out.empty();
        // What follows stands for what TLS has decrypted.
        if (handshake.phase() == NbdHandshake::Phase::start_tls) handshake.tls_started();
        if (handshake.phase() >= NbdHandshake::Phase::transmission) break;
    }
    run.phase = handshake.phase();
    run.session = handshake.session();
    run.encrypted = handshake.encrypted();
    return run;
}

}  // namespace
}  // namespace braidway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    if (size < 2) return 0;
    const Directory directory(data[0]);
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
    const Run one = run(bytes, directory, data[1]);
    const Run other = run(bytes, directory, data[1] + 1000u);
    CHECK(one.output == other.output, "answers do not depend on how bytes arrive");
    CHECK(one.phase == other.phase && one.taken == other.taken, "nor does the end");
    if (one.phase == NbdHandshake::Phase::transmission) {
        const wire::NbdSession& session = one.session;
        CHECK(session.export_id < directory.count(), "only exports of the directory are entered");
        CHECK(session.structured || !session.base_allocation, "contexts need structured replies");
        CHECK(session.structured == session.has(wire::nbd::send_df), "DF needs them, too");
        CHECK(std::has_single_bit(session.minimum_block), "blocks are powers of two");
        CHECK(one.encrypted || directory.tls() != wire::NbdTls::required, "TLS comes first");
        CHECK(!one.encrypted || directory.tls() != wire::NbdTls::off, "only where it is offered");
        CHECK(directory.extended_headers() || !session.extended, "the off switch holds");
    }
    return 0;
}
