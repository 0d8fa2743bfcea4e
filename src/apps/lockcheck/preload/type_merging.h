// SPDX-License-Identifier: Apache-2.0
// Classes of locks that are one by the types of the objects that they are in.
#pragma once

#include "lockdep/finding.h"

namespace braidway::lockcheck {

/// Asks the renderer which classes of this process are members of one type, as debug information
/// tells, and merges those; what that finds is reported. Does nothing where there is nothing to
/// ask, or nothing new since it asked last; where no renderer can be started, classes stay what
/// they are. For the end of the program: takes some tens of milliseconds, at most about 2 s. Call
/// it in in_validator(), or at exit with all signals blocked.
void merge_by_type();

/// Does a ring that is about to be reported turn out to be nothing but nested locks of one class,
/// once debug information has told the types? Or of elements of an array, whose classes are several
/// because the compiler unrolled the loop that initialises them? Takes as long as merge_by_type(),
/// when it is about locks whose types may be known, of more than one class. Call it in
/// in_validator().
bool is_nesting_by_type(const lockdep::Finding& finding);

/// In the child of a fork, which asks only about what it learns itself.
void types_in_child();

}  // namespace braidway::lockcheck
