// What an errno becomes: every verb with every errno.
#include "engine/reactor/errno_table.h"

#include <cerrno>
#include <gmock/gmock.h>
#include <set>
#include <vector>

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int k_errno_max = 133;
constexpr auto k_last_verb = Verb::signal;

template <class Visit>
void for_each_case(Visit visit) {
  for (int verb = 0; verb <= static_cast<int>(k_last_verb); ++verb) {
    for (const Sync sync : {Sync::no, Sync::data}) {
      for (int error = 1; error <= k_errno_max; ++error) visit(static_cast<Verb>(verb), sync, error);
    }
  }
}

TEST(ErrnoTable, EveryCaseHasARowAndEveryRowACase) {
  std::set<const ErrnoRow*> used;
  for_each_case([&](Verb verb, Sync sync, int error) { used.insert(&errno_row(verb, sync, error)); });
  for (const ErrnoRow& row : errno_rows()) {
    EXPECT_TRUE(used.contains(&row)) << "row " << (&row - errno_rows().data()) << " is never reached";
  }
}

// What may go wrong before any byte has moved: the folder that is to be synced is opened first, and there may
// be no room for what is to be written.
bool is_refused_before(Verb verb, int error) {
  switch (error) {
    case ECANCELED:
    case EBADF:
      return true;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return verb == Verb::write;
    case ENOENT:
    case EACCES:
    case EPERM:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE:
      return verb == Verb::sync_folder;
    default:
      return false;
  }
}

TEST(ErrnoTable, AFailedSyncIsAlwaysFinal) {
  for_each_case([](Verb verb, Sync sync, int error) {
    const bool syncs =
        verb == Verb::sync || verb == Verb::sync_folder || (verb == Verb::write && sync == Sync::data);
    const bool is_final = errno_row(verb, sync, error).code == ErrorCode::sync_failed;
    EXPECT_EQ(is_final, syncs && !is_refused_before(verb, error)) << name(verb) << " " << errno_text(error);
  });
}

TEST(ErrnoTable, CancelsReadTheSameForEveryVerb) {
  for_each_case([](Verb verb, Sync sync, int) {
    EXPECT_EQ(errno_row(verb, sync, ECANCELED).code, ErrorCode::cancelled);
  });
}

// Of a disk, the same number is the device's.
TEST(ErrnoTable, OnlyVerbsWithADeadlineTimeOut) {
  for_each_case([](Verb verb, Sync sync, int error) {
    const bool has_deadline =
        verb == Verb::connect || verb == Verb::receive || verb == Verb::send || verb == Verb::transfer;
    EXPECT_EQ(errno_row(verb, sync, error).code == ErrorCode::timed_out, has_deadline && error == ETIME)
        << name(verb) << " " << errno_text(error);
  });
}

TEST(ErrnoTable, ASyncIsNeverTriedAgain) {
  for_each_case([](Verb verb, Sync, int error) {
    EXPECT_FALSE(is_passing(verb, true, error)) << name(verb) << " " << errno_text(error);
    const bool syncs = verb == Verb::sync || verb == Verb::sync_folder;
    const bool aborted = verb == Verb::accept && error == ECONNABORTED;
    EXPECT_EQ(is_passing(verb, false, error), !syncs && (error == EINTR || error == EAGAIN || aborted))
        << name(verb) << " " << errno_text(error);
  });
}

struct Expected {
  Verb verb;
  int error;
  ErrorCode code;
};

TEST(ErrnoTable, WellKnownReasonsHaveTheirCodes) {
  const std::vector<Expected> cases = {
      {Verb::open, ENOENT, ErrorCode::not_found},
      {Verb::open, EEXIST, ErrorCode::already_exists},
      {Verb::open, EACCES, ErrorCode::permission_denied},
      {Verb::open, EMFILE, ErrorCode::overloaded},
      {Verb::write, ENOSPC, ErrorCode::disk_full},
      {Verb::write, EDQUOT, ErrorCode::disk_full},
      {Verb::allocate, ENOSPC, ErrorCode::disk_full},
      {Verb::resize, EFBIG, ErrorCode::disk_full},
      {Verb::read, EIO, ErrorCode::io_error},
      {Verb::read, EBADF, ErrorCode::invalid_argument},
      {Verb::lock, EWOULDBLOCK, ErrorCode::folder_in_use},
      {Verb::sync_folder, ENOENT, ErrorCode::not_found},
      {Verb::sync_folder, EIO, ErrorCode::sync_failed},
      {Verb::sync_folder, EROFS, ErrorCode::sync_failed},
      {Verb::open, EROFS, ErrorCode::permission_denied},
      {Verb::listen, EADDRINUSE, ErrorCode::unavailable},
      {Verb::connect, ECONNREFUSED, ErrorCode::unavailable},
      {Verb::connect, ETIMEDOUT, ErrorCode::unavailable},
      {Verb::receive, ECONNRESET, ErrorCode::connection_lost},
      {Verb::send, EPIPE, ErrorCode::connection_lost},
      {Verb::transfer, EPIPE, ErrorCode::connection_lost},
      {Verb::write, EPIPE, ErrorCode::connection_lost},
      {Verb::accept, EMFILE, ErrorCode::overloaded},
  };
  for (const auto& [verb, error, code] : cases) {
    EXPECT_EQ(name(errno_row(verb, Sync::no, error).code), name(code))
        << name(verb) << " " << errno_text(error);
  }
}

TEST(ErrnoTable, MessagesNameTheVerbTheSubjectTheReasonAndWhatToDo) {
  Request request;
  request.verb = Verb::rename;
  request.path = "a";
  request.path_to = "b";
  EXPECT_EQ(error_of(request, ENOENT).message, "rename a to b: No such file or directory (ENOENT)");
  request.verb = Verb::listen;
  request.address = {"::1", 7420};
  const std::string message = error_of(request, EADDRINUSE).message;
  EXPECT_THAT(message, StartsWith("listen on [::1]:7420: "));
  EXPECT_THAT(message, HasSubstr("choose another port"));
  request.verb = Verb::connect;
  EXPECT_EQ(error_of(request, ETIME).message, "connect to [::1]:7420: the deadline has passed");
}

}  // namespace
}  // namespace millrace
