/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees a chosen amount of a chosen kind of memory on a chosen NUMA node, and measures what was
 * freed. Link with -lbraidway-node-memory (pkg-config braidway-node-memory).
 *
 * Threads: every function may be called from any thread; one object from one thread at a time,
 * except where it says otherwise. A run on several nodes starts threads, which are gone when it
 * returns. No function changes signal handlers, signal masks or the environment, none prints, and
 * no C++ exception comes out of one: when memory is short they fail with ENOMEM.
 *
 * Stability: the library shows only these functions, with versioned names. Objects are opaque and
 * numbers keep their meaning; a newer library runs programs that were built with an older header.
 */
#ifndef BRAIDWAY_NODE_MEMORY_H
#define BRAIDWAY_NODE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C names its own way. */

/* What to free: a mask. */
enum {
    NODE_MEMORY_PAGE_CACHE = 1,        /* clean, not mapped by any process */
    NODE_MEMORY_MAPPED_PAGE_CACHE = 2, /* clean, mapped by a process; it faults in again */
    NODE_MEMORY_ANONYMOUS = 4,         /* goes to swap, never without room there */
    NODE_MEMORY_SLAB = 8,              /* reclaimable caches of the kernel */
    NODE_MEMORY_ALL = 15
};

/* How a run ended. */
enum {
    NODE_MEMORY_DONE = 0,
    NODE_MEMORY_USAGE = 2,  /* a bad option or value; nothing was done */
    NODE_MEMORY_SHORT = 3,  /* less than asked; the report says why */
    NODE_MEMORY_REFUSED = 4 /* by safety, or for want of privilege or consent */
};

/*
 * The call that was proposed to Linux in February 2005: frees `pages` more pages of the kinds in
 * `what` on `node`. Returns the pages that were freed, which may be fewer (the kernel frees whole
 * large folios, so it may also be a few more). `pages` of 0 frees nothing and returns 0.
 * Of several kinds it takes page cache first, then slab, mapped page cache and anonymous memory.
 * It waits for another run on the same node, and gives up after five minutes.
 * On error returns -1 and sets errno: EINVAL (a negative amount, no kind or an unknown one),
 * ENODEV (no such node, offline, without memory), EPERM (no privilege), EAGAIN (nothing could be
 * freed: node_memory_run() says why), ENOMEM.
 */
long free_node_memory(long node, long pages, long what);

/* --- the full form ---------------------------------------------------------------------------- */

typedef struct node_memory_options node_memory_options;
typedef struct node_memory_report node_memory_report;

/* NULL with errno ENOMEM when memory is short. Free it with node_memory_options_free (which takes
 * NULL). */
node_memory_options* node_memory_options_new(void);
void node_memory_options_free(node_memory_options* options);

/*
 * Sets one option by its name on the command line, without the dashes: ("node", "0,2-3"),
 * ("free", "10G"), ("what", "page-cache,slab"), ("budget", "10 s"), ...; a switch takes "yes" or
 * "no". "node", "what" and the amount ("free", "pages" or "until-free") replace what was set
 * before; lists of paths and of mechanisms grow.
 * Returns 0, or -1 with errno EINVAL and node_memory_options_error() saying what is wrong; the
 * options are then as they were.
 */
int node_memory_options_set(node_memory_options* options, const char* name, const char* value);

/*
 * Reads options from a file of lines "name = value"; '#' begins a comment. Returns 0, or -1 with
 * errno (EINVAL: a bad line; else that of opening and reading) and node_memory_options_error()
 * saying where and what; the options are then as they were.
 */
int node_memory_options_read(node_memory_options* options, const char* path);

/* The last error of this object in one line; "" when there was none. Valid until its next use. */
const char* node_memory_options_error(const node_memory_options* options);

/*
 * Ends the run that uses these options, soon; it answers with what was done so far. It is for good:
 * a later run with these options ends at once too. May be called from any thread and from a signal
 * handler, also while another thread runs with the same options.
 */
void node_memory_options_cancel(node_memory_options* options);

/*
 * Runs. Returns NODE_MEMORY_*; `*report` gets a report unless the answer is NODE_MEMORY_USAGE
 * (then NULL, and node_memory_options_error() says why) or this process ran out of memory (NULL,
 * NODE_MEMORY_REFUSED and errno ENOMEM). Free it with node_memory_report_free. `report` may be
 * NULL. The options may be used for another run afterwards. "strict" means nothing here: the answer
 * always tells whether less was freed.
 */
int node_memory_run(node_memory_options* options, node_memory_report** report);

/*
 * The same up to the plan: frees nothing and needs no privilege. Returns NODE_MEMORY_DONE or
 * NODE_MEMORY_USAGE. The plan is in the JSON document; what was freed is 0.
 */
int node_memory_plan(node_memory_options* options, node_memory_report** report);

void node_memory_report_free(node_memory_report* report);

/* Numbers of a report. */
enum {
    NODE_MEMORY_VALUE_NODE = 0, /* the node's number */
    NODE_MEMORY_VALUE_ASKED_BYTES = 1,
    NODE_MEMORY_VALUE_FREED_BYTES = 2, /* of the kinds that were asked for */
    NODE_MEMORY_VALUE_FREED_PAGE_CACHE_BYTES = 3,
    NODE_MEMORY_VALUE_FREED_MAPPED_PAGE_CACHE_BYTES = 4,
    NODE_MEMORY_VALUE_FREED_ANONYMOUS_BYTES = 5,
    NODE_MEMORY_VALUE_FREED_SLAB_BYTES = 6,
    NODE_MEMORY_VALUE_COLLATERAL_BYTES = 7, /* of kinds that were not asked for */
    NODE_MEMORY_VALUE_NET_FREE_BYTES = 8,   /* change of free memory; may be negative */
    NODE_MEMORY_VALUE_NANOSECONDS = 9
};

size_t node_memory_report_nodes(const node_memory_report* report);
/*
 * Of the node at `index` (0 ...), or of all nodes together with index SIZE_MAX; the nodes are
 * worked on at once, so NANOSECONDS is then the length of the run. An unknown index or value, and
 * NODE of all: 0.
 */
int64_t node_memory_report_value(const node_memory_report* report, size_t index, int value);
/*
 * Why less was freed, in words; "" when all was. With SIZE_MAX: of the first node that is short.
 * Valid as long as the report.
 */
const char* node_memory_report_reason(const node_memory_report* report, size_t index);
/* The whole report as a JSON document. Valid as long as the report. */
const char* node_memory_report_json(const node_memory_report* report);

/* "0.1.0" of the library that is loaded. */
const char* node_memory_version(void);

/* NOLINTEND(readability-identifier-naming) */

#ifdef __cplusplus
} /* extern "C" */

#include <memory>
#include <string>

/// The same for C++: objects that free themselves. Only the C functions are in the library, so a
/// program keeps working with a newer one.
namespace braidway::node_memory {

/// Options of one run; see node_memory_options_set().
class Options {
  public:
    Options() : options_(node_memory_options_new(), node_memory_options_free) {}
    /// False: error() says what is wrong.
    bool set(const std::string& name, const std::string& value) {
        return node_memory_options_set(get(), name.c_str(), value.c_str()) == 0;
    }
    bool read(const std::string& path) {
        return node_memory_options_read(get(), path.c_str()) == 0;
    }
    std::string error() const { return node_memory_options_error(options_.get()); }
    void cancel() { node_memory_options_cancel(get()); }
    node_memory_options* get() { return options_.get(); }

  private:
    std::unique_ptr<node_memory_options, void (*)(node_memory_options*)> options_;
};

/// What a run did.
class Report {
  public:
    /// Runs, or with `dry` makes the plan only.
    static Report of(Options& options, bool dry = false) {
        node_memory_report* made = nullptr;
        const int outcome =
            dry ? node_memory_plan(options.get(), &made) : node_memory_run(options.get(), &made);
        return Report(outcome, made);
    }
    int outcome() const { return outcome_; }  ///< NODE_MEMORY_DONE, ...
    int64_t value(int value, size_t index = SIZE_MAX) const {
        return report_ ? node_memory_report_value(report_.get(), index, value) : 0;
    }
    std::string reason(size_t index = SIZE_MAX) const {
        return report_ ? node_memory_report_reason(report_.get(), index) : "";
    }
    std::string json() const { return report_ ? node_memory_report_json(report_.get()) : ""; }

  private:
    Report(int outcome, node_memory_report* report)
        : outcome_(outcome), report_(report, node_memory_report_free) {}
    int outcome_;
    std::unique_ptr<node_memory_report, void (*)(node_memory_report*)> report_;
};

}  // namespace braidway::node_memory
#endif

#endif
