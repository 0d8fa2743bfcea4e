// SPDX-License-Identifier: Apache-2.0
// Any text as an NBD URI: what is accepted keeps its promises and reads the same when it is written
// again; what is refused is refused in one line.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "wire/nbd_uri.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Result<wire::NbdUri> uri = wire::NbdUri::parse(text);
    if (!uri) {
        CHECK(!uri.error().message.empty(), "a refusal says why");
        CHECK(uri.error().message.find('\n') == std::string::npos, "in one line");
        return 0;
    }
    const bool is_unix = uri->kind == wire::NbdUri::Kind::unix_socket;
    CHECK(is_unix == !uri->socket.empty(), "a unix URI has a socket, others have none");
    CHECK(is_unix || (!uri->host.empty() && uri->port != 0), "a TCP URI has a host and a port");
    CHECK(uri->export_name.size() <= limits::nbd_string_bytes_max, "a name fits into an option");
    CHECK(uri->export_name.find('\0') == std::string::npos, "and is text");
    const Result<wire::NbdUri> again = wire::NbdUri::parse(uri->text());
    CHECK(again.has_value() && *again == *uri, "written and read again it is the same");
    return 0;
}
