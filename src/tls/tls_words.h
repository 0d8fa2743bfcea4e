// SPDX-License-Identifier: Apache-2.0
// What OpenSSL says, in one line that says what to do.
#pragma once

#include <string>

#include "tls/tls_context.h"

struct ssl_st;

namespace braidway::tls {

/// Why the handshake or the encrypted connection of `ssl` has failed; takes what is in the thread's
/// error queue. `user_unknown` as in TlsNotes. Nothing in it comes from the peer, and no key is in
/// it.
std::string problem_of(const ssl_st* ssl, const TlsContext& context, bool user_unknown);

/// What it may mean that the peer ends the connection before it has sent any data: GnuTLS gives no
/// reason when it refuses. `during`: the handshake has not ended here.
std::string closed_problem(const TlsContext& context, bool during);

/// The last error of OpenSSL in its own words; the thread's error queue is then empty.
std::string last_library_error();

}  // namespace braidway::tls
