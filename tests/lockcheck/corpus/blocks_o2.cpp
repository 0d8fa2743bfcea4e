// SPDX-License-Identifier: Apache-2.0
// blocks.h, built with -O2.
// build: -O2
// case: array_in_a_loop_o2 | silent | a local array of mutexes, made anew in each turn, where another thread takes both; each turn in another order
// case: array_of_its_own_in_a_loop_o2 | silent | the same with std::recursive_mutex, by the thread that made them
// case: initialisers_in_a_loop_o2 | silent | the same with PTHREAD_MUTEX_INITIALIZER
// case: rwlocks_in_a_loop_o2 | silent | the same with PTHREAD_RWLOCK_INITIALIZER
// case: shared_mutex_in_a_loop_o2 | silent | a std::shared_mutex made anew in each turn: before a global one, and after it
// case: blocks_of_one_function_o2 | silent | two blocks of one function, whose mutexes have one place in the frame: after a global one, and before it
// case: optional_made_again_o2 | silent | a std::optional that gets a new mutex in each turn: before a global one, and after it
// case: types_of_two_blocks_o2 | silent | objects of two types of one layout in one place of a frame, in two blocks: before a global one, and after it
// case: locks_of_another_make_o2 | silent | a class with a mutex that it initialises and destroys, and nothing else, is a lock: two kinds of them
// case: locks_that_are_copied_o2 | silent | and so is one with a std::mutex that can be copied
// case: unrolled_array_o2 | silent | elements of two arrays of locks on the heap in opposite orders, initialised by a loop that is unrolled
// case: unrolled_array_in_a_frame_o2 | silent | the same with arrays in two frames
// case: array_before_the_loop_o2 | order | a local array of mutexes that all turns use, each in another order
// case: rwlocks_before_the_loop_o2 | order | the same with std::shared_mutex
// case: recursive_before_the_loop_o2 | order | the same with std::recursive_mutex
// case: of_one_turn_o2 | order | two threads in one turn of a loop that makes the mutexes anew
// case: arrays_seen_by_others_o2 | order | elements of local arrays of two types, which only other threads use
// case: optionals_seen_by_others_o2 | order | the same with std::optional
// case: only_a_lock_each_o2 | order | local objects of two classes that have a mutex, what makes or destroys them, and nothing else
// case: stack_and_heap_o2 | order | objects of two types as local variables, and by std::make_unique
// case: unrolled_array_both_ways_o2 | order | elements of one such array, both orders
// case: two_locks_in_one_line_o2 | order | two members of a struct of locks, which are initialised in one line
#define LEVEL "_o2"
#include "blocks.h"
