// master/cli/help.cpp -- lb --help and that of each command: the usage here, the flags from their table.
#include <fmt/format.h>

#include "master/cli/given.h"
#include "master/cli/options.h"

namespace lb::cli {

std::string help(std::string_view topic) {
    std::string out;
    if (topic == "explain") {
        out =
            "Usage: lb explain METHOD URL [-H LINE]... [--from=ADDR] [--listener=NAME]\n\n"
            "Asks the running lb where such a request would go, and why; sends none.\n\n";
    } else if (topic == "status") {
        out =
            "Usage: lb status [--json]\n\n"
            "Shows what runs: processes, pools, and the state of each backend.\n\n";
    } else if (topic == "backend") {
        out =
            "Usage: lb backend drain|maint POOL/NAME [--wait[=TIME]]\n"
            "       lb backend ready POOL/NAME\n"
            "       lb backend weight POOL/NAME N|default\n"
            "       lb backend add POOL \"ADDR:PORT weight=2 name=NAME\"\n"
            "       lb backend remove POOL/NAME\n"
            "       lb backend export\n\n"
            "  drain   no new requests but those of its sessions\n"
            "  maint   no requests at all\n"
            "  ready   as its checks say\n"
            "  weight  until told otherwise; default is what the file says\n"
            "  add     a backend that the file does not have; remove takes it out again\n"
            "  export  print what was changed in this way, as lines for the file\n\n";
    } else {
        out =
            "Usage: lb [-c FILE] [-p DIR] [-g KEY=VALUE]...    run, in the foreground\n"
            "       lb --backends=URL,URL [--port=PORT]        run without a file\n"
            "       lb -t | -T [-c FILE] ...                   check or print the settings\n"
            "       lb -s NAME [-c FILE] ...                   speak to the running lb\n"
            "       lb status [--json]                         show what runs, as a table\n"
            "       lb backend ACTION ...                      drain, add, weigh backends\n"
            "       lb explain METHOD URL ...                  ask it where requests go\n"
            "       lb demo [PORT PORT PORT]                   run three example backends\n\n";
    }
    for (const Flag& flag : flags()) {
        if (&flag == &flags()[manual_flag] || flag.of != topic) continue;
        const std::string letter = flag.letter != 0 ? fmt::format("-{},", flag.letter) : "";
        const bool optional = flag.value.starts_with('[');
        const std::string name = flag.value.empty() ? fmt::format("--{}", flag.name)
                                 : optional         ? fmt::format("--{}[={}", flag.name, flag.value.substr(1))
                                                    : fmt::format("--{} {}", flag.name, flag.value);
        out += fmt::format("  {:3} {:19} {}\n", letter, name, flag.text);
    }
    out += topic.empty() ? "\nFlags of a command: lb status -h, lb backend -h, lb explain -h.\n"
                           "Exit status: 0 done, 1 failed, 2 wrong usage. See man 8 lb, man 5 lb.ini.\n"
                         : "\nAnd -c FILE, -p DIR, -g KEY=VALUE as ever: see lb --help and man 8 lb.\n";
    return out;
}

}  // namespace lb::cli
