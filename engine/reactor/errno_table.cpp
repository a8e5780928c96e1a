#include "engine/reactor/errno_table.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace millrace {
namespace {

template <class... Verbs>
constexpr VerbSet any_of(Verbs... verbs) {
  return (verb_set(verbs) | ...);
}

constexpr VerbSet k_all = ~VerbSet{0};
constexpr VerbSet k_growing = any_of(Verb::write, Verb::allocate, Verb::resize, Verb::open,
                                     Verb::create_folder, Verb::rename, Verb::lock);
constexpr VerbSet k_making = any_of(Verb::open, Verb::create_folder, Verb::rename);
constexpr VerbSet k_syncing = any_of(Verb::sync, Verb::sync_folder);
constexpr VerbSet k_reaching = any_of(Verb::connect, Verb::listen);
constexpr VerbSet k_socket = any_of(Verb::accept, Verb::receive, Verb::send, Verb::shutdown, Verb::transfer);
constexpr VerbSet k_limited = any_of(Verb::open, Verb::lock, Verb::list, Verb::sync_folder, Verb::listen,
                                     Verb::accept, Verb::connect, Verb::transfer);
constexpr VerbSet k_named =
    any_of(Verb::open, Verb::lock, Verb::list, Verb::sync_folder, Verb::rename, Verb::remove_file,
           Verb::create_folder, Verb::remove_folder, Verb::free_space);
constexpr VerbSet k_timed = any_of(Verb::connect, Verb::receive, Verb::send, Verb::transfer);

constexpr const char* k_raise_files = "raise the limit of open files (ulimit -n)";
constexpr const char* k_grant = "grant this user access to it";
constexpr const char* k_stop = "what this process wrote may be lost; it has to stop";

constexpr ErrnoRow k_rows[] = {
    // how an operation of the reactor ends
    {ECANCELED, k_all, false, ErrorCode::cancelled, ""},
    {ETIME, k_timed, false, ErrorCode::timed_out, ""},  // elsewhere it is a device that speaks
    {EBADF, k_all, false, ErrorCode::invalid_argument, "it is closed already or was opened for reading only"},
    // no room: before the sync rows, because such a write puts nothing in doubt but its own bytes, of which a
    // part may be there (a device that is short of blocks itself refuses in the middle). Who rewrites or
    // counts on those bytes must end all the same; the log does, for its journal and its extents
    {ENOSPC, k_growing, false, ErrorCode::disk_full, "free some space"},
    {EDQUOT, k_growing, false, ErrorCode::disk_full, "free some space or raise this user's quota"},
    {EFBIG, k_growing, false, ErrorCode::disk_full, "raise the limit of file sizes (ulimit -f)"},
    // names, for every verb that takes one
    {ENOENT, k_named, false, ErrorCode::not_found, ""},
    {EEXIST, k_making, false, ErrorCode::already_exists, ""},
    {ENOTEMPTY, any_of(Verb::remove_folder, Verb::rename), false, ErrorCode::already_exists,
     "the folder is not empty"},
    {EWOULDBLOCK, any_of(Verb::lock), false, ErrorCode::folder_in_use,
     "another process holds it; stop that one first"},
    {EACCES, k_named, false, ErrorCode::permission_denied, k_grant},
    {EPERM, k_named, false, ErrorCode::permission_denied, k_grant},
    // not for a sync of a folder: a file system that had to give up its journal is read-only from then on
    {EROFS, k_named & ~k_syncing, false, ErrorCode::permission_denied,
     "the file system is mounted read-only"},
    {ENOTDIR, k_named, false, ErrorCode::invalid_argument, "a part of the path is not a folder"},
    {EISDIR, k_named, false, ErrorCode::invalid_argument, "it is a folder"},
    {ENAMETOOLONG, k_named, false, ErrorCode::invalid_argument, "use a shorter path"},
    {EMFILE, k_limited, false, ErrorCode::overloaded, k_raise_files},
    {ENFILE, k_limited, false, ErrorCode::overloaded,
     "the machine has too many open files (sysctl fs.file-max)"},
    // durability: whatever the reason, nothing is known of the data afterwards. Devices give many of them
    // (ENODATA, EREMOTEIO, ENOLINK, ETIMEDOUT, EILSEQ, ENODEV, ...), and direct I/O hands them through
    {0, k_syncing | any_of(Verb::write), true, ErrorCode::sync_failed, k_stop},
    // sockets
    {EADDRINUSE, k_reaching, false, ErrorCode::unavailable,
     "another program has this address; choose another port"},
    {EADDRNOTAVAIL, k_reaching, false, ErrorCode::unavailable,
     "no interface of this machine has this address"},
    {EACCES, k_reaching, false, ErrorCode::permission_denied,
     "ports below 1024 and firewalled addresses need a grant"},
    {EPERM, k_reaching, false, ErrorCode::permission_denied, "a firewall or seccomp profile refuses it"},
    {EINVAL, k_reaching, false, ErrorCode::invalid_argument, "give a numeric address, as in 127.0.0.1:7420"},
    {EAFNOSUPPORT, k_reaching, false, ErrorCode::unsupported, "this machine has no such address family"},
    {0, any_of(Verb::connect), false, ErrorCode::unavailable,
     "is the server running, and reachable from here?"},
    {EINVAL, any_of(Verb::accept), false, ErrorCode::cancelled, "the listener was shut down"},
    {ECONNRESET, k_socket, false, ErrorCode::connection_lost, ""},
    {ECONNABORTED, k_socket, false, ErrorCode::connection_lost, ""},
    {EPIPE, k_socket | any_of(Verb::write), false, ErrorCode::connection_lost, ""},
    {ENOTCONN, k_socket, false, ErrorCode::connection_lost, ""},
    {ETIMEDOUT, k_socket, false, ErrorCode::connection_lost, ""},
    {EHOSTUNREACH, k_socket, false, ErrorCode::connection_lost, ""},
    {ENETUNREACH, k_socket, false, ErrorCode::connection_lost, ""},
    {ENETDOWN, k_socket, false, ErrorCode::connection_lost, ""},
    // what the machine is short of, or lacks
    {ENOMEM, k_all, false, ErrorCode::overloaded, "the machine is short of memory"},
    {ENOBUFS, k_all, false, ErrorCode::overloaded, "the machine is short of network memory"},
    {EAGAIN, k_all, false, ErrorCode::overloaded, "the machine is short of resources; try again"},
    {EOPNOTSUPP, k_all, false, ErrorCode::unsupported, "this kernel or file system lacks it"},
    {ENOSYS, k_all, false, ErrorCode::unsupported, "this kernel lacks it"},
    {EINVAL, any_of(Verb::signal), false, ErrorCode::invalid_argument,
     "start the shards with signals = true"},
    {EINVAL, k_named, false, ErrorCode::invalid_argument, "the file system does not take this"},
    {0, k_all, false, ErrorCode::io_error, ""},
};

bool fits(const ErrnoRow& row, Verb verb, bool synced, int error) {
  return (row.error == 0 || row.error == error) && (row.verbs & verb_set(verb)) != 0 &&
         (!row.synced || synced);
}

std::string subject_of(const Request& request) {
  switch (request.verb) {
    case Verb::rename:
      return fmt::format("{} to {}", request.path, request.path_to);
    case Verb::read:
    case Verb::write:
    case Verb::allocate:
      return fmt::format("{} at {}", request.handle.label(), request.position);
    case Verb::transfer:
      return fmt::format("{} at {} to {}", request.handle.label(), request.position, request.other.label());
    case Verb::connect:
    case Verb::listen:
      return to_string(request.address);
    case Verb::sleep:
    case Verb::signal:
      return {};
    default:
      return request.handle ? request.handle.label() : request.path;
  }
}

}  // namespace

std::span<const ErrnoRow> errno_rows() {
  return k_rows;
}

const ErrnoRow& errno_row(Verb verb, Sync sync, int error) {
  const bool synced = sync == Sync::data || (k_syncing & verb_set(verb)) != 0;
  const ErrnoRow* row = k_rows;
  while (!fits(*row, verb, synced, error)) ++row;  // the last row fits everything
  return *row;
}

bool is_passing(Verb verb, bool syncs, int error) {
  if (syncs || (k_syncing & verb_set(verb)) != 0) return false;
  return error == EINTR || error == EAGAIN || (error == ECONNABORTED && verb == Verb::accept);
}

std::string errno_text(int error) {
  const char* text = strerrordesc_np(error);
  const char* symbol = strerrorname_np(error);
  return text != nullptr && symbol != nullptr ? fmt::format("{} ({})", text, symbol)
                                              : fmt::format("error {}", error);
}

Error error_of(const Request& request, int error) {
  const ErrnoRow& row = errno_row(request.verb, request.sync, error);
  const std::string subject = subject_of(request);
  std::string message = fmt::format("{}{}{}: ", name(request.verb), subject.empty() ? "" : " ", subject);
  if (row.code == ErrorCode::timed_out) {
    message += "the deadline has passed";
  } else if (error == ECANCELED) {
    message += "cancelled";
  } else {
    message += errno_text(error);
  }
  if (row.advice[0] != '\0') message += fmt::format("; {}", row.advice);
  return Error{row.code, std::move(message)};
}

}  // namespace millrace
