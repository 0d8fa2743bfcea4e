// SPDX-License-Identifier: Apache-2.0
// Any bytes as a server's side of the handshake: the same end however they are cut, bounded output,
// and an offer that keeps the client's own limits.
#include <bit>
#include <vector>

#include "base/check.h"
#include "fuzz_pieces.h"
#include "wire/nbd_client_handshake.h"

namespace braidway {
namespace {

using wire::NbdClientHandshake;
using Phase = NbdClientHandshake::Phase;

struct Run {
    std::vector<std::byte> output;
    NbdClientHandshake machine;
    size_t taken = 0;
    bool encrypted = false;
};

Run run(std::span<const std::byte> bytes, unsigned shape, uint64_t seed) {
    wire::NbdClientWishes wishes;
    wishes.export_name = (shape & 8) != 0 ? "disk" : "";
    wishes.tls = (shape & 1) != 0;
    wishes.structured = (shape & 2) == 0;
    wishes.base_allocation = (shape & 4) == 0;
    Run run{{}, NbdClientHandshake(wishes)};
    // Whether it goes on after the agreement to TLS, which then has to be the last that has come.
    const bool goes_on = (shape & 16) != 0;
    std::vector<std::byte> out;
    fuzz::Pieces pieces(bytes, seed);
    while (!pieces.empty() && !run.machine.final()) {
        auto piece = pieces.next();
        if (wishes.tls && goes_on && !run.encrypted && !piece.empty()) piece = piece.first(1);
        const size_t taken = run.machine.feed(piece, out);
        const bool stops = run.machine.final() || run.machine.phase() == Phase::start_tls;
        CHECK(taken == piece.size() || stops, "everything is taken before the end");
        pieces.take(taken);
        run.taken += taken;
        if (run.machine.phase() == Phase::start_tls && goes_on) {
            run.machine.tls_started(out);
            run.encrypted = true;
        }
        run.output.insert(run.output.end(), out.begin(), out.end());
        out.clear();
        if (run.machine.phase() == Phase::start_tls) break;
    }
    return run;
}

}  // namespace
}  // namespace braidway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    if (size < 2) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
    Run one = run(bytes, data[0], data[1]);
    const Run other = run(bytes, data[0], data[1] + 1000u);
    // Bytes behind the agreement on TLS are an error only when they have arrived with it.
    const bool tls = (data[0] & 1) != 0 && (data[0] & 16) == 0;
    CHECK(tls || one.output == other.output, "what is said does not depend on how bytes arrive");
    CHECK(tls || one.machine.phase() == other.machine.phase(), "nor does the end");
    CHECK(tls || one.taken == other.taken, "nor where it is");
    CHECK(one.output.size() <= 4 + 6 * 64, "output is bounded whatever comes in");
    if (one.machine.phase() == Phase::failed) {
        CHECK(!one.machine.problem().empty(), "a failure says why");
        CHECK(one.machine.problem().find('\n') == std::string::npos, "in one line");
    }
    if (one.machine.phase() == Phase::transmission) {
        const wire::NbdSession& session = one.machine.offer().session;
        CHECK((data[0] & 1) == 0 || one.encrypted, "nothing is entered in plain against our will");
        CHECK(session.structured || !session.base_allocation, "contexts need structured replies");
        CHECK(std::has_single_bit(session.minimum_block), "blocks are powers of two");
        CHECK(session.maximum_payload >= session.minimum_block, "a block can be sent");
        CHECK(session.maximum_payload <= limits::payload_bytes_max, "within the limits");
        CHECK(session.maximum_payload % session.minimum_block == 0, "in whole blocks");
        CHECK(session.size_bytes <= static_cast<uint64_t>(INT64_MAX), "sizes are file sizes");
    }
    one.machine.closed();
    CHECK(one.machine.final(), "a closed connection is the end");
    return 0;
}
