// SPDX-License-Identifier: Apache-2.0
// A scenario of the multipath laboratory: lines in, record lines out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client.h"
#include "machine.h"

namespace braidway::scenario {

/// Carries out the lines of one scenario and answers each as the recorder of the real kernel does:
///
///   = result     ok, held, refused ERRNO, or counts of I/O results such as EIO:1 ok:3
///   p P:N ..     I/Os by path during the step, where there were any, and after each step of I/O
///   t LINE       the table; after create and table
///   s LINE       the status line, while the map exists
///   e +N         device-mapper events raised during the step, where there were any
///   ! text       the step cannot be carried out
///
/// Time is virtual: a step that only waits costs nothing.
class Scenario {
  public:
    /// The record lines that answer `line`; none for a line that only sets up.
    std::vector<std::string> step(const std::string& line);

  private:
    using Words = std::vector<std::string>;
    struct Group {
        std::string selector;
        std::vector<Words> paths;  ///< The path's name, then its arguments.
    };

    bool set_up(const Words& words);
    std::string carry_out(const Words& words, Words& extra);
    std::string do_io(const Words& words);
    std::string start_background(const Words& words);
    std::string look_at_background(const Words& words);
    std::string set_fault(const Words& words);
    std::string table() const;
    bool in_use() const;

    Backing backing_ = Backing::bio;
    Words paths_;
    uint64_t size_ = 65536;
    Words features_;
    Words handler_{"0"};
    long initial_ = 0;
    std::vector<Group> groups_;

    std::map<std::string, std::unique_ptr<Client>> background_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::unique_ptr<Machine> machine_;  ///< Goes first: it answers the clients' requests.
    uint32_t events_ = 0;
};

}  // namespace braidway::scenario
