// SPDX-License-Identifier: Apache-2.0
// Any text as an iSCSI URI: what is accepted keeps its promises and reads the same when it is
// written again, less its secret; what is refused is refused in one line.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "path/iscsi_uri.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Result<path::IscsiUri> uri = path::IscsiUri::parse(text);
    if (!uri) {
        CHECK(!uri.error().message.empty(), "a refusal says why");
        CHECK(uri.error().message.find('\n') == std::string::npos, "in one line");
        return 0;
    }
    CHECK(!uri->host.empty() && uri->port != 0, "a URI has a host and a port");
    CHECK(uri->target.size() <= 223 && uri->target.find('\0') == std::string::npos,
          "a target's name fits into a login");
    CHECK(uri->lun <= path::IscsiUri::lun_max, "a LUN can be addressed");
    uri->secret.clear();
    const Result<path::IscsiUri> again = path::IscsiUri::parse(uri->text());
    CHECK(again.has_value() && *again == *uri, "written and read again it is the same");
    return 0;
}
