// master/steering.h -- which sockets of a SO_REUSEPORT group get new connections.
// Owns:  nothing. The programs belong to the kernel's group once attached.
// Never: chooses by hash: a hash over fewer places would move connections that hold a half-open place elsewhere.
#pragma once
#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lb::steering {

// A classic BPF program that picks one of `live` at random with every run. The numbers are places in the kernel's
// group: in order of listen(2), and when a socket leaves, the last one moves into its place. `live` is not empty and
// shorter than 2000 (a program has at most 4096 instructions).
std::vector<sock_filter> random_of(std::span<const std::uint32_t> live);

// Attach to the group of `fd`, any listening socket of it. Each returns errno text or "".
std::string attach(int fd, std::span<const std::uint32_t> live);
std::string detach(int fd);  // back to the kernel's choice by hash over all

}  // namespace lb::steering
