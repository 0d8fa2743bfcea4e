// SPDX-License-Identifier: Apache-2.0
#include "multipath/latency.h"

#include <algorithm>

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view selector_name = "latency";
constexpr size_t size_classes = 4;
constexpr int64_t latency_ns_max = int64_t{1} << 40;
/// Loads are kept in 1/256 of an I/O.
constexpr unsigned load_shift = 8;
constexpr int64_t load_one = 1 << load_shift;
/// More in flight is not told apart, so that products stay within 64 bits.
constexpr uint32_t in_flight_max = (1U << 14) - 1;
constexpr unsigned sample_shift = 4;          ///< A sample in a row counts 1/16.
constexpr int64_t sample_max = 16;            ///< Times the average, at most.
constexpr int64_t equal_part = 8;             ///< Within 1/8 of the best is as good.
constexpr uint32_t picks_between_looks = 32;  ///< At one path that is not used.
constexpr int64_t look_latencies = 32;
constexpr Duration look_interval_max = 10s;
constexpr Instant not_yet{INT64_MIN};

size_t size_class(uint64_t length_bytes) {
    if (length_bytes <= 8 << 10) return 0;
    if (length_bytes <= 64 << 10) return 1;
    return length_bytes <= 512 << 10 ? 2 : 3;
}

/// What is known of the I/Os of one class on one path.
struct Measure {
    int64_t latency_ns = 0;  ///< 0 = nothing known.
    int64_t idle_ns = 0;
    int64_t load = 0;             ///< In 1/256 I/Os.
    int64_t ns_per_io_below = 0;  ///< The slope of the expectation up to `load`,
    int64_t ns_per_io_above = 0;  ///< and beyond it.
    Instant started_at = not_yet;
    Instant ended_at = not_yet;

    int64_t expected_ns(uint32_t in_flight) const {
        const int64_t others = std::min(in_flight, in_flight_max);
        const int64_t beyond = (others << load_shift) - load;
        if (beyond <= 0) return idle_ns + ns_per_io_below * others;
        return latency_ns + ((ns_per_io_above * beyond) >> load_shift);
    }
    void take(int64_t sample_ns, uint32_t others, bool found_idle, Duration pause);
};

/// What counts for all classes of one path.
struct Path {
    uint32_t in_flight = 0;
    uint32_t repeat_count = 1;      ///< Shown, and nothing else: above 1 is 1.
    bool idle_sample_out = false;   ///< The I/O that found the path idle has not ended.
    Instant busy_since = not_yet;   ///< That one's start.
    Instant last_answer = not_yet;  ///< `never` = unknown: I/Os from the table before.
    size_t last_class = 0;          ///< For people.

    int64_t silent_ns(Instant now) const {
        return in_flight == 0 ? 0 : now.ns - std::max(busy_since, last_answer).ns;
    }
};

unsigned shift_after(Duration pause, int64_t latency_ns) {
    unsigned shift = sample_shift;
    const int64_t first = std::min(latency_ns, look_interval_max.count() >> (sample_shift - 1));
    for (int64_t length = first; shift > 0 && pause.count() >= length; length *= 2) --shift;
    return shift;
}

int64_t average(int64_t before, int64_t sample, unsigned shift) {
    return before + (sample - before) / (int64_t{1} << shift);
}

void Measure::take(int64_t sample_ns, uint32_t others, bool found_idle, Duration pause) {
    const int64_t sample = std::clamp<int64_t>(sample_ns, 1, latency_ns_max);
    const int64_t sample_load = int64_t{std::min(others, in_flight_max)} << load_shift;
    if (latency_ns == 0) {
        latency_ns = sample;
        load = sample_load;
        idle_ns = found_idle ? sample : sample * load_one / (load + load_one);
    } else {
        const unsigned shift = shift_after(pause, latency_ns);
        const auto limited = [&](int64_t before) {
            return shift == 0 ? sample : std::min(sample, before * sample_max);
        };
        if (found_idle) idle_ns = average(idle_ns, limited(idle_ns), shift);
        latency_ns = average(latency_ns, limited(latency_ns), shift);
        load = average(load, sample_load, shift);
    }
    latency_ns = std::max<int64_t>(latency_ns, 1);
    idle_ns = std::clamp<int64_t>(idle_ns, 1, latency_ns);
    ns_per_io_below = load == 0 ? 0 : (latency_ns - idle_ns) * load_one / load;
    ns_per_io_above = latency_ns * load_one / (load + load_one);
}

class Latency final : public Selector {
  public:
    Latency(std::vector<Path> paths, bool kernel_strict)
        : paths_(std::move(paths)),
          measures_(paths_.size() * size_classes),
          expected_ns_(paths_.size()),
          up_(static_cast<Index>(paths_.size())),
          kernel_strict_(kernel_strict) {
        for (Index path = 0; path < paths_.size(); ++path) up_.push_back(path);
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape& io, Instant now) override {
        if (up_.empty()) return std::nullopt;
        const Index picked = choose(size_class(io.length_bytes), now);
        up_.move_to_back(picked);
        return picked;
    }

    void started(Index path, uint64_t length_bytes, Instant now) override;
    void ended(Index path, uint64_t length_bytes, Instant started_at, Instant now) override;
    void carry_over(Index path, uint32_t in_flight, uint64_t) override {
        paths_[path].in_flight += in_flight;
        paths_[path].last_answer = never;
    }
    void fail_path(Index path) override { up_.remove(path); }
    /// What it was like before says nothing.
    void reinstate_path(Index path) override {
        for (size_t size = 0; size < size_classes; ++size) measure(size, path) = {};
        up_.push_back(path);
    }

    PathArguments info_words(Index path) const override {
        const Measure& shown = measures_[paths_[path].last_class * paths_.size() + path];
        return {std::to_string(paths_[path].in_flight), std::to_string(shown.latency_ns / 1000)};
    }
    PathArguments table_words(Index path) const override {
        return {std::to_string(paths_[path].repeat_count)};
    }
    std::unique_ptr<Selector> clone() const override { return std::make_unique<Latency>(*this); }
    void append_state(std::vector<uint64_t>& state) const override;

  private:
    std::vector<Path> paths_;
    std::vector<Measure> measures_;     ///< Class by class, in each path by path.
    std::vector<int64_t> expected_ns_;  ///< For one choice; 0 = nothing known.
    IndexList up_;
    uint32_t picks_since_look_ = 0;
    bool kernel_strict_;

    Measure& measure(size_t size, Index path) { return measures_[size * paths_.size() + path]; }
    Index choose(size_t size, Instant now);
    int64_t guess_unknown(size_t size, int64_t best_ns, Instant now);
};

bool is_due(const Measure& measure, Instant now) {
    const Duration interval =
        std::min(look_interval_max, Duration(measure.latency_ns * look_latencies));
    return measure.ended_at >= measure.started_at && now - measure.ended_at >= interval;
}

Selector::Index Latency::choose(size_t size, Instant now) {
    const bool may_look = picks_since_look_ >= picks_between_looks;
    if (!may_look) ++picks_since_look_;
    int64_t best_ns = INT64_MAX;
    bool unknown = false;
    for (Index path = up_.front(); path != up_.end(); path = up_.after(path)) {
        const Measure& known = measure(size, path);
        if (known.latency_ns == 0) {
            if (known.started_at == not_yet) return path;
            expected_ns_[path] = 0;
            unknown = true;
            continue;
        }
        if (may_look && is_due(known, now)) {
            picks_since_look_ = 0;
            return path;
        }
        const Path& state = paths_[path];
        expected_ns_[path] = std::max(known.expected_ns(state.in_flight), state.silent_ns(now));
        best_ns = std::min(best_ns, expected_ns_[path]);
    }
    if (unknown) best_ns = guess_unknown(size, best_ns, now);
    const int64_t limit = best_ns + best_ns / equal_part;
    Index picked = up_.front();
    while (expected_ns_[picked] > limit) picked = up_.after(picked);
    return picked;
}

/// Fills in the paths that have not answered their first I/O; answers with the new best.
int64_t Latency::guess_unknown(size_t size, int64_t best_ns, Instant now) {
    const int64_t known_ns = best_ns == INT64_MAX ? 1 : best_ns;
    for (Index path = up_.front(); path != up_.end(); path = up_.after(path)) {
        if (expected_ns_[path] != 0) continue;
        const int64_t waited_ns = (now - measure(size, path).started_at).count();
        const int64_t one_ns = std::clamp<int64_t>(waited_ns, known_ns, latency_ns_max);
        expected_ns_[path] = one_ns * (1 + std::min(paths_[path].in_flight, in_flight_max));
        best_ns = std::min(best_ns, expected_ns_[path]);
    }
    return best_ns;
}

void Latency::started(Index path, uint64_t length_bytes, Instant now) {
    measure(size_class(length_bytes), path).started_at = now;
    Path& state = paths_[path];
    if (state.in_flight++ != 0) return;
    state.busy_since = now;
    state.idle_sample_out = true;
}

void Latency::ended(Index path, uint64_t length_bytes, Instant started_at, Instant now) {
    Path& state = paths_[path];
    DEBUG_CHECK(kernel_strict_ || state.in_flight > 0, "more ended than started");
    if (state.in_flight > 0) --state.in_flight;
    state.last_answer = now;
    state.last_class = size_class(length_bytes);
    const bool found_idle = state.idle_sample_out && started_at == state.busy_since;
    if (found_idle) state.idle_sample_out = false;
    Measure& known = measure(state.last_class, path);
    const Duration pause = known.ended_at == not_yet ? Duration(0) : started_at - known.ended_at;
    known.take((now - started_at).count(), state.in_flight, found_idle, pause);
    known.ended_at = now;
    if (known.started_at == not_yet) known.started_at = started_at;
}

void Latency::append_state(std::vector<uint64_t>& state) const {
    up_.append_to(state);
    state.push_back(picks_since_look_);
    for (const Path& path : paths_) {
        state.push_back(path.in_flight);
        state.push_back(path.idle_sample_out ? 1 : 0);
        state.push_back(static_cast<uint64_t>(path.busy_since.ns));
        state.push_back(static_cast<uint64_t>(path.last_answer.ns));
    }
    for (const Measure& known : measures_) {
        for (const int64_t number :
             {known.latency_ns, known.idle_ns, known.load, known.started_at.ns, known.ended_at.ns})
            state.push_back(static_cast<uint64_t>(number));
    }
}

}  // namespace

Result<std::unique_ptr<Selector>> make_latency(const PathArguments&,
                                               const std::vector<PathArguments>& paths,
                                               const SelectorOptions& options) {
    std::vector<Path> states(paths.size());
    for (size_t path = 0; path < paths.size(); ++path) {
        const auto count = read_only_repeat_count(selector_name, path, paths[path]);
        if (!count) return std::unexpected(count.error());
        states[path].repeat_count = *count;
    }
    return std::make_unique<Latency>(std::move(states), options.kernel_strict);
}

}  // namespace braidway::multipath
