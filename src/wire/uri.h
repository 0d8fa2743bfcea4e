// SPDX-License-Identifier: Apache-2.0
// What the URIs of all kinds of devices have in common. Pure text.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::wire {

/// Whether `letter` is one of `letters`.
bool is_one_of(char letter, std::string_view letters);

/// An ASCII letter or digit.
bool is_letter_or_digit(char letter);

/// What stands in a URI for itself everywhere.
/// Source:  RFC 3986, 2.3.
bool is_unreserved(char letter);

/// `text` for a message of one line: what cannot be printed is shown as '?', what is very long is
/// cut.
std::string printable_uri(std::string_view text);

/// Writes what is not unreserved, nor in `also_plain`, as "%3A" and the like.
std::string uri_encoded(std::string_view text, std::string_view also_plain = "");

/// Undoes uri_encoded(). A NUL is refused, but in front where it may begin the text.
/// Errors:  half a sentence that goes behind what `written` is: "holds a NUL (%00)".
Result<std::string> uri_decoded(std::string_view written, bool may_begin_nul = false);

}  // namespace braidway::wire
