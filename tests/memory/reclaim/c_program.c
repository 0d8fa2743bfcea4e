/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of somebody who has only the header and the library: plain C11. Ends with 0 when the
 * interface keeps its promises; else it prints the line that does not hold.
 */
#include <braidway/node_memory.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define HOLDS(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            failures++;                                                   \
            printf("c_program.c:%d: not so: %s\n", __LINE__, #condition); \
        }                                                                 \
    } while (0)

static void bad_calls_are_refused(void) {
    errno = 0;
    HOLDS(free_node_memory(0, -1, NODE_MEMORY_PAGE_CACHE) == -1 && errno == EINVAL);
    HOLDS(free_node_memory(0, 1, 0) == -1 && errno == EINVAL);
    HOLDS(free_node_memory(0, 1, 16) == -1 && errno == EINVAL);
    HOLDS(free_node_memory(1000, 1, NODE_MEMORY_SLAB) == -1 && errno == ENODEV);
    HOLDS(node_memory_options_set(NULL, "free", "1M") == -1 && errno == EINVAL);
    HOLDS(node_memory_run(NULL, NULL) == NODE_MEMORY_USAGE);
    HOLDS(strcmp(node_memory_report_json(NULL), "") == 0);
    HOLDS(node_memory_report_value(NULL, SIZE_MAX, NODE_MEMORY_VALUE_FREED_BYTES) == 0);
    node_memory_options_free(NULL);
    node_memory_report_free(NULL);
}

static void a_plan_can_be_made(void) {
    node_memory_report* report = NULL;
    node_memory_options* options = node_memory_options_new();
    HOLDS(options != NULL);
    HOLDS(strcmp(node_memory_options_error(options), "") == 0);
    HOLDS(node_memory_options_set(options, "free", "much") == -1 && errno == EINVAL);
    HOLDS(strstr(node_memory_options_error(options), "much") != NULL);
    HOLDS(node_memory_options_set(options, "node", "all") == 0);
    HOLDS(node_memory_options_set(options, "free", "1M") == 0);
    HOLDS(node_memory_options_set(options, "what", "page-cache") == 0);
    HOLDS(node_memory_plan(options, &report) == NODE_MEMORY_DONE);
    HOLDS(report != NULL && node_memory_report_nodes(report) >= 1);
    HOLDS(node_memory_report_value(report, 0, NODE_MEMORY_VALUE_ASKED_BYTES) == 1 << 20);
    HOLDS(node_memory_report_value(report, SIZE_MAX, NODE_MEMORY_VALUE_FREED_BYTES) == 0);
    HOLDS(strstr(node_memory_report_json(report), "\"schema_version\"") != NULL);
    node_memory_report_free(report);
    node_memory_options_free(options);
}

int main(void) {
    bad_calls_are_refused();
    a_plan_can_be_made();
    printf("libbraidway-node-memory %s: %d failures\n", node_memory_version(), failures);
    return failures == 0 ? 0 : 1;
}
