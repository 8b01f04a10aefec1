#include "nccl.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace
{

constexpr int ranks_most = 16;
constexpr size_t slot_floats = 16 << 10;
constexpr int slow_looks = 5; /* "in progress", under the fault slow */

/* Of all processes. Sums are cut into pieces, which are counted over all sums. */
struct Seat {
  std::atomic<bool> arrived, finalized;
  std::atomic<uint64_t> posted, taken; /* pieces put into the slot, and pieces of all summed */
  std::atomic<uint64_t> piece_floats;
  float slot[slot_floats];
};

struct Room {
  Seat seats[ranks_most];
};

struct Fault {
  std::string name; /* of this rank; else empty */
  uint64_t number = 0;
};

Fault read_fault(int rank)
{
  const char *text = std::getenv("EMULATED_NCCL_FAULT");
  Fault fault;
  if (text == nullptr) return fault;
  const std::string all = text;
  const size_t at = all.find('@');
  const size_t colon = all.find(':');
  if (at != std::string::npos && std::atoi(all.c_str() + at + 1) != rank) return fault;
  fault.name = all.substr(0, colon < at ? colon : at);
  if (colon < at) fault.number = std::strtoull(all.c_str() + colon + 1, nullptr, 10);
  return fault;
}

/* What a stream may still hold after its communicator has gone. */
struct Link {
  Room *room = nullptr;
  std::string name; /* of the shared memory, until it is unlinked */
  int rank = 0, rank_count = 0;
  Fault fault;
  uint64_t pieces = 0; /* done by this rank */
  std::atomic<uint64_t> sums_begun{0};
  std::atomic<int> failure{ncclSuccess};
  std::atomic<bool> aborted{false}, ends{false};

  bool all(std::atomic<bool> Seat::*flag) const
  {
    for (int rank = 0; rank < rank_count; ++rank)
      if (!(room->seats[rank].*flag)) return false;
    return true;
  }

  bool all_at(std::atomic<uint64_t> Seat::*count, uint64_t least) const
  {
    for (int rank = 0; rank < rank_count; ++rank)
      if ((room->seats[rank].*count) < least) return false;
    return true;
  }

  void unlink_memory()
  {
    if (!name.empty() && rank == 0) (void)shm_unlink(name.c_str());
    name.clear();
  }

  ~Link()
  {
    unlink_memory();
    if (room != nullptr) (void)munmap(room, sizeof *room);
  }
};

bool map_room(Link *link, const char *name)
{
  const int file = shm_open(name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Room)) != 0) return false;
  void *memory = mmap(nullptr, sizeof(Room), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  (void)close(file);
  if (memory == MAP_FAILED) return false;
  link->room = static_cast<Room *>(memory);
  link->name = name;
  return true;
}

/* One sum on its way through a stream: piece by piece, each put into this rank's slot when all have
 * taken the last one from it, and added up when all have put theirs. */
struct Sum {
  std::shared_ptr<Link> link;
  float *values;
  size_t count;
  size_t first = 0;
  bool begun = false, posted = false;
  std::chrono::steady_clock::time_point ends; /* not before */

  size_t piece() const
  {
    return count - first < slot_floats ? count - first : slot_floats;
  }

  bool begin()
  {
    const bool hit = ++link->sums_begun == link->fault.number;
    begun = true;
    ends = std::chrono::steady_clock::now() +
           std::chrono::milliseconds(link->fault.name == "drag" ? link->fault.number : 0);
    if (hit && link->fault.name == "die") (void)raise(SIGKILL);
    if (hit && link->fault.name == "remote") link->failure = ncclRemoteError;
    return !(hit && link->fault.name == "hang");
  }

  bool post()
  {
    Seat *seat = &link->room->seats[link->rank];
    if (!link->all_at(&Seat::taken, link->pieces)) return false;
    std::memcpy(seat->slot, values + first, piece() * sizeof(float));
    seat->piece_floats = piece();
    seat->posted = link->pieces + 1;
    posted = true;
    return true;
  }

  bool take()
  {
    Seat *seats = link->room->seats;
    if (!link->all_at(&Seat::posted, link->pieces + 1)) return false;
    for (int rank = 1; rank < link->rank_count; ++rank)
      if (seats[rank].piece_floats != seats[0].piece_floats) link->failure = ncclInvalidArgument;
    for (size_t i = 0; i < piece(); ++i) {
      float total = seats[0].slot[i];
      for (int rank = 1; rank < link->rank_count; ++rank)
        total += seats[rank].slot[i];
      values[first + i] = total;
    }
    seats[link->rank].taken = ++link->pieces;
    first += piece();
    posted = false;
    return true;
  }

  bool go_on()
  {
    if (!begun && !begin()) link->fault.name = "hanging";
    if (std::chrono::steady_clock::now() < ends && !link->aborted) return false;
    while (first < count && !link->aborted) {
      if (link->fault.name == "hanging" || link->failure != ncclSuccess) return false;
      if (!posted && !post()) return false;
      if (!take()) return false;
    }
    first = 0; /* for the next play of a graph */
    begun = posted = false;
    return true;
  }
};

/* Sums go on without being asked, as they do on a GPU. */
void turn_the_streams(const std::shared_ptr<Link> &link)
{
  while (!link->ends) {
    (void)emulate_some();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

} // namespace

struct ncclComm {
  std::shared_ptr<Link> link;
  std::thread turner;
  int looks_left = 0;
  bool finalizing = false;
};

ncclResult_t ncclGetVersion(int *version)
{
  *version = 20000;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
  static unsigned count;
  std::memset(id, 0, sizeof *id);
  (void)std::snprintf(id->internal, sizeof id->internal, "/quadrat-emulated-nccl-%ld-%u",
                      (long)getpid(), ++count);
  (void)shm_unlink(id->internal); /* of an earlier process of this number that was killed */
  return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t code)
{
  switch (code) {
  case ncclSuccess: return "no error";
  case ncclSystemError: return "unhandled system error";
  case ncclInvalidArgument: return "invalid argument";
  case ncclInvalidUsage: return "invalid usage";
  case ncclRemoteError: return "remote process exited or there was a network error";
  case ncclInProgress: return "NCCL operation in progress";
  }
  return "";
}

const char *ncclGetLastError(ncclComm_t comm)
{
  return comm == nullptr ? "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 0" : "";
}

static ncclResult_t in_progress(ncclComm_t comm)
{
  comm->looks_left = comm->link->fault.name == "slow" ? slow_looks : 0;
  return ncclInProgress;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int rank_count, ncclUniqueId id, int rank,
                                    ncclConfig_t *config)
{
  const auto link = std::make_shared<Link>();
  *comm = nullptr;
  link->rank = rank;
  link->rank_count = rank_count;
  link->fault = read_fault(rank);
  if (link->fault.name == "refuse") return ncclInvalidUsage;
  if (config->blocking != 0 || rank_count > ranks_most) return ncclInvalidArgument;
  if (!map_room(link.get(), id.internal)) return ncclSystemError;
  if (link->fault.name != "absent") link->room->seats[rank].arrived = true;
  *comm = new ncclComm;
  (*comm)->link = link;
  (*comm)->turner = std::thread(turn_the_streams, link);
  return in_progress(*comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state)
{
  Link *link = comm->link.get();
  *state = static_cast<ncclResult_t>(link->failure.load());
  if (*state != ncclSuccess) return ncclSuccess;
  if (comm->looks_left > 0) {
    --comm->looks_left;
    *state = ncclInProgress;
  } else if (!link->all(comm->finalizing ? &Seat::finalized : &Seat::arrived)) {
    *state = ncclInProgress;
  } else {
    link->unlink_memory(); /* all have it by now */
  }
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
  Link *link = comm->link.get();
  if (from != to) return ncclInvalidArgument;
  if (link->fault.name == "stuck" && --link->fault.number == 0)
    for (;;)
      (void)pause();
  cudaStreamCaptureStatus capture;
  (void)cudaStreamIsCapturing(stream, &capture);
  if (link->fault.name == "unrecorded" && capture != cudaStreamCaptureStatusNone)
    link->failure = ncclSystemError;
  if (link->failure == ncclSystemError) return ncclSystemError;
  const auto sum = std::make_shared<Sum>();
  sum->link = comm->link;
  sum->values = static_cast<float *>(to);
  sum->count = count;
  emulate_patiently(stream, [sum]() { return sum->go_on(); });
  return in_progress(comm);
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
  comm->finalizing = true;
  comm->link->room->seats[comm->link->rank].finalized = true;
  return in_progress(comm);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
  return ncclCommAbort(comm);
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
  comm->link->aborted = true;
  comm->link->ends = true;
  comm->turner.join();
  comm->link->unlink_memory();
  delete comm;
  return ncclSuccess;
}
