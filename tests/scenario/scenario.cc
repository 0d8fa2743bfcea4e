// SPDX-License-Identifier: Apache-2.0
#include "scenario.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace braidway::scenario {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

/// The recorder lets things settle after each step, calls I/O held that is not done after a while,
/// and waits so long.
constexpr Duration settle_time = 250ms;
constexpr Duration held_after = 1500ms;
constexpr Duration poll_time = 300ms;
constexpr Duration wait_time = 20s;
/// An I/O in the foreground that takes longer would keep the recorder for ever.
constexpr Duration io_patience = 600s;

Words split(const std::string& text, char separator) {
    Words words;
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, separator);) words.push_back(word);
    return words;
}

Words split_blanks(const std::string& line) {
    std::istringstream stream(line);
    return {std::istream_iterator<std::string>(stream), {}};
}

std::string outcome(const Result<void>& result) {
    if (result) return "ok";
    return fmt::format("refused {}", ::strerrorname_np(result.error().code));
}

/// What the guest's block layer sends at once, in sectors: SCSI's limit; else what 256 pages hold,
/// which are 4 KiB where the program wrote to them one by one.
uint64_t request_max(Backing backing, char kind) {
    if (backing == Backing::mq) return 2560;
    return kind == 'w' ? 2048 : 4096;
}

/// `words` from `at`: KIND OFFSET COUNT [xTIMES].
Work read_work(Backing backing, const Words& words, size_t at) {
    Work work;
    work.kind = words.at(at)[0];
    work.offset = std::stoull(words.at(at + 1));
    work.count = std::stoull(words.at(at + 2));
    if (words.size() > at + 3)
        work.times = static_cast<unsigned>(std::stoul(words[at + 3].substr(1)));
    work.request_max = request_max(backing, work.kind);
    return work;
}

}  // namespace

std::vector<std::string> Scenario::step(const std::string& line) {
    const Words words = split_blanks(line);
    if (words.empty() || set_up(words)) return {};
    if (machine_ == nullptr) machine_ = std::make_unique<Machine>(backing_, paths_, size_);
    std::map<std::string, uint64_t> before;
    for (const std::string& path : paths_) before[path] = machine_->ios(path);
    Words extra;
    Words record{"= " + carry_out(words, extra)};
    if (record[0].starts_with("= !")) return {record[0].substr(2)};
    machine_->loop().pass(settle_time);

    bool any = words[0] == "io" || words[0] == "bg" || words[0] == "poll" || words[0] == "wait";
    std::string ios = "p";
    for (const std::string& path : paths_) {
        const uint64_t count = machine_->ios(path) - before[path];
        any = any || count > 0;
        ios += fmt::format(" {}:{}", path, count);
    }
    if (any) record.push_back(ios);
    record.insert(record.end(), extra.begin(), extra.end());
    if (machine_->map() != nullptr) {
        record.push_back("s " + machine_->status_text());
        const uint32_t events = machine_->events();
        if (events != events_) record.push_back(fmt::format("e +{}", events - events_));
        events_ = events;
    }
    return record;
}

/// Whether `words` only say what the following steps work with.
bool Scenario::set_up(const Words& words) {
    const std::string& word = words[0];
    const Words rest(words.begin() + 1, words.end());
    if (word == "title" || word == "note") return true;
    if (word == "backend") {
        backing_ = !rest.empty() && rest[0] == "mq" ? Backing::mq : Backing::bio;
    } else if (word == "paths") {
        paths_ = rest;
    } else if (word == "size") {
        size_ = std::stoull(rest.at(0));
    } else if (word == "features") {
        features_ = rest;
    } else if (word == "hwhandler") {
        handler_ = rest;
    } else if (word == "initial") {
        initial_ = std::stol(rest.at(0));
    } else if (word == "group") {
        Group& group = groups_.emplace_back();
        group.selector = rest.at(0);
        for (size_t at = 1; at < rest.size(); ++at) group.paths.push_back(split(rest[at], ':'));
    } else if (word == "newtable") {
        features_.clear();
        initial_ = 0;
        groups_.clear();
    } else {
        return false;
    }
    return true;
}

std::string Scenario::carry_out(const Words& words, Words& extra) {
    const std::string& word = words[0];
    const Words rest(words.begin() + 1, words.end());
    if (word == "create") {
        const auto made = machine_->create(table());
        if (made) {
            events_ = machine_->events();
            extra.push_back("t " + machine_->table_text());
        }
        return outcome(made);
    }
    if (word == "reload") return outcome(machine_->load(table()));
    if (word == "suspend")
        return outcome(machine_->suspend(std::ranges::find(rest, "noflush") != rest.end()));
    if (word == "resume") return outcome(machine_->resume());
    if (word == "remove") return outcome(machine_->remove(in_use()));
    if (word == "table" || word == "status") {
        if (machine_->map() == nullptr) return "! OSError: there is no map";
        if (word == "table") extra.push_back("t " + machine_->table_text());
        return "ok";
    }
    if (word == "io") return do_io(words);
    if (word == "bg") return start_background(words);
    if (word == "poll" || word == "wait") return look_at_background(words);
    if (word == "error_on" || word == "error_off") return set_fault(words);
    if (word == "sleep") {
        machine_->loop().pass(Duration(static_cast<int64_t>(std::stod(rest.at(0)) * 1e9)));
        return "ok";
    }
    if (word == "message") return outcome(machine_->message(rest));
    if (word == "fail_path" || word == "reinstate_path") {
        Words message{word};
        for (const std::string& path : rest) message.push_back(machine_->device_of(path));
        return outcome(machine_->message(message));
    }
    for (const char* known :
         {"switch_group", "disable_group", "enable_group", "queue_if_no_path", "fail_if_no_path"})
        if (word == known) return outcome(machine_->message(words));
    return fmt::format("! RuntimeError: unknown step: {}", fmt::join(words, " "));
}

std::string Scenario::do_io(const Words& words) {
    Work work = read_work(backing_, words, 1);
    if (machine_->map() == nullptr) return fmt::format("open-ENOENT:{}", work.times);
    Client& client = *clients_.emplace_back(std::make_unique<Client>(*machine_->map(), work));
    client.start();
    if (!machine_->loop().pass_until([&] { return client.done(); }, io_patience))
        return "! the I/O is held for ever";
    return client.tally();
}

std::string Scenario::start_background(const Words& words) {
    Work work = read_work(backing_, words, 2);
    work.pattern = 0x5a;
    if (machine_->map() == nullptr) return fmt::format("open-ENOENT:{}", work.times);
    if (work.kind == 'v') work.kind = 'r';
    auto client = std::make_unique<Client>(*machine_->map(), work);
    Client& started = *client;
    // A name used again stands for the later one.
    if (auto& named = background_[words.at(1)]; named != nullptr)
        clients_.push_back(std::move(named));
    background_[words.at(1)] = std::move(client);
    started.start();
    const bool done = machine_->loop().pass_until([&] { return started.done(); }, held_after);
    return done ? started.tally() : "held";
}

std::string Scenario::look_at_background(const Words& words) {
    const auto found = background_.find(words.at(1));
    if (found == background_.end()) return fmt::format("! KeyError: '{}'", words.at(1));
    const Client& client = *found->second;
    const bool done = machine_->loop().pass_until([&] { return client.done(); },
                                                  words[0] == "wait" ? wait_time : poll_time);
    return done ? client.tally() : "held";
}

std::string Scenario::set_fault(const Words& words) {
    const std::string kind = words.size() > 2 ? words[2] : "offline";
    Fault fault = Fault::none;
    if (backing_ == Backing::bio)
        fault = Fault::error;
    else if (kind == "offline")
        fault = Fault::offline;
    else if (kind == "transport")
        fault = Fault::transport;
    else if (kind == "medium")
        fault = Fault::medium;
    if (!machine_->set_fault(words.at(1), fault, words[0] == "error_on"))
        return fmt::format("! KeyError: '{}'", words.at(1));
    return "ok";
}

/// The table line as the recorder writes it: every path is said to have as many words as the one
/// with the most.
std::string Scenario::table() const {
    Words words = features_;
    if (backing_ == Backing::bio) words.insert(words.end(), {"queue_mode", "bio"});
    words.insert(words.begin(), std::to_string(words.size()));
    words.insert(words.end(), handler_.begin(), handler_.end());
    words.push_back(std::to_string(groups_.size()));
    words.push_back(std::to_string(initial_ != 0 ? initial_ : groups_.empty() ? 0 : 1));
    for (const Group& group : groups_) {
        size_t arguments = 0;
        for (const Words& path : group.paths) arguments = std::max(arguments, path.size() - 1);
        words.insert(words.end(), {group.selector, "0", std::to_string(group.paths.size()),
                                   std::to_string(arguments)});
        for (const Words& path : group.paths) {
            words.push_back(machine_->device_of(path[0]));
            words.insert(words.end(), path.begin() + 1, path.end());
        }
    }
    return fmt::format("{}", fmt::join(words, " "));
}

bool Scenario::in_use() const {
    const auto open = [](const auto& client) { return !client->done(); };
    return std::ranges::any_of(clients_, open) ||
           std::ranges::any_of(background_, [&](const auto& entry) { return open(entry.second); });
}

}  // namespace braidway::scenario
