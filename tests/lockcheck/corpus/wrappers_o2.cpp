// SPDX-License-Identifier: Apache-2.0
// wrappers.h, built with -O2.
// build: -O2
// case: checked_wrapper_two_types_o2 | silent | two types of one layout, whose locks one wrapper with a check initialises
// case: wrapper_of_wrapper_two_types_o2 | silent | the same with a wrapper over a wrapper
// case: recursive_wrapper_two_types_o2 | silent | the same with a wrapper that sets attributes
// case: plain_wrapper_two_sizes_o2 | silent | two types of several sizes over one wrapper without a check
// case: plain_wrapper_two_types_o2 | open | two types of one layout over a wrapper without a check, which leaves no frame
// case: portable_wrapper_two_sizes_o2 | silent | the same with a wrapper that hands the result on
// case: init_by_pointer_o2 | silent | two init functions of types of one layout, called through a pointer in one place
// case: lock_class_two_sizes_o2 | silent | a class of locks as a member of two types of several sizes
// case: checked_lock_class_two_types_o2 | silent | a class of locks that checks, as a member of two types of one layout
// case: lock_class_two_types_o2 | open | the same with types of one layout, and the constructor leaves no frame
// case: lock_class_globals_o2 | silent | global objects of a class of locks
// case: spinlocks_of_one_maker_o2 | silent | two spinlocks on their own that one function makes, for two users
// case: checked_wrapper_one_type_o2 | order | one type, made by one function over a wrapper with a check
// case: plain_wrapper_one_type_o2 | order | the same without a check
// case: portable_wrapper_one_type_o2 | order | the same with a wrapper that hands the result on
// case: init_over_checked_wrapper_o2 | order | an init function of a type over a wrapper, called from two places
// case: init_over_portable_wrapper_o2 | order | the same over two wrappers
// case: init_at_the_end_o2 | order | init functions that end in the call of the library, for objects made in two places
// case: init_of_nothing_else_o2 | order | init functions of types with nothing to initialise but a lock
// case: lock_class_one_type_o2 | order | a type with members of a class of locks
// case: checked_lock_class_one_type_o2 | order | the same, and the class of locks checks
// case: spinlock_in_small_struct_o2 | order | a spinlock in a struct of 8 bytes: under a global lock, and over it
#define LEVEL "_o2"
#include "wrappers.h"
