#include "emulated_streams.hpp"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <vector>

#include "cuda_runtime_api.h"

/* Streams, events and graphs as CUDA promises them and no better: nothing runs before the host asks
 * whether it has, and whatever is not ordered by a stream or an event runs in an order drawn at
 * random (QUADRAT_EMULATOR_SEED). So a copy that the host overtakes, a wait that was forgotten, or
 * something that must not be recorded shows here. */
namespace
{

typedef std::shared_ptr<bool> Flag;
typedef std::set<size_t> Nodes;
typedef std::function<bool()> Work; /* returns whether it has ended; may be empty */

struct Operation {
  Work work;
  Flag awaited; /* may be empty */
  Flag done;    /* may be empty */
};

struct Node {
  Work work;
  Nodes after;
};

std::recursive_mutex lock;
std::set<CUstream_st *> streams;
std::mt19937 dice(std::getenv("QUADRAT_EMULATOR_SEED") != nullptr
                      ? (unsigned)std::atoi(std::getenv("QUADRAT_EMULATOR_SEED"))
                      : 1U);
int captures; /* under way */
uint64_t captures_begun;

} // namespace

struct CUgraph_st {
  std::vector<Node> nodes;
  uint64_t number;
  bool broken = false;
};

struct CUgraphExec_st {
  std::vector<Node> nodes;
};

struct CUstream_st {
  std::deque<Operation> queue;
  CUgraph_st *graph = nullptr; /* that it is recorded into */
  bool began = false;          /* the recording, and ends it */
  Nodes last;                  /* what the next node comes after */
};

struct CUevent_st {
  Flag done;
  uint64_t graph = 0; /* number of the recording that it is a part of */
  Nodes nodes;
};

namespace
{

[[noreturn]] void give_up(const char *why)
{
  std::fprintf(stderr, "emulator: %s\n", why);
  std::abort();
}

bool can_run(const CUstream_st *stream)
{
  return !stream->queue.empty() &&
         (!stream->queue.front().awaited || *stream->queue.front().awaited);
}

/* One operation of any stream. False if there is nothing to do at all. */
bool run_one()
{
  std::vector<CUstream_st *> ready;
  bool idle = true;
  for (CUstream_st *stream : streams) {
    idle = idle && stream->queue.empty();
    if (can_run(stream)) ready.push_back(stream);
  }
  if (idle) return false;
  if (ready.empty()) give_up("all streams wait for each other");
  CUstream_st *stream = ready[dice() % ready.size()];
  const Operation operation = stream->queue.front();
  if (operation.work && !operation.work()) return true;
  stream->queue.pop_front();
  if (operation.done) *operation.done = true;
  return true;
}

void run_all()
{
  while (run_one())
    ;
}

/* A graph at play. Every order that the recording allows is right. */
struct Play {
  const std::vector<Node> *nodes;
  std::vector<bool> done;
  size_t left;

  /* Goes on until all that could run has to wait; whether the graph has ended. */
  bool go_on()
  {
    Nodes waiting;
    while (left > 0) {
      std::vector<size_t> ready;
      for (size_t i = 0; i < nodes->size(); ++i) {
        bool free = !done[i] && waiting.count(i) == 0;
        for (size_t before : (*nodes)[i].after)
          free = free && done[before];
        if (free) ready.push_back(i);
      }
      if (ready.empty()) return false;
      const size_t chosen = ready[dice() % ready.size()];
      const Work &work = (*nodes)[chosen].work;
      if (work && !work()) {
        waiting.insert(chosen);
        continue;
      }
      done[chosen] = true;
      --left;
    }
    return true;
  }
};

void record(CUstream_st *stream, const Work &work)
{
  std::vector<Node> &nodes = stream->graph->nodes;
  nodes.push_back({work, stream->last});
  stream->last = {nodes.size() - 1};
}

void collect(const std::vector<Node> &nodes, const Nodes &from, Nodes *all)
{
  for (size_t node : from)
    if (all->insert(node).second) collect(nodes, nodes[node].after, all);
}

/* Calls that wait or allocate are not allowed while the calling thread records. */
cudaError_t refuse_while_recording()
{
  for (CUstream_st *stream : streams)
    if (stream->graph != nullptr) stream->graph->broken = true;
  return cudaErrorStreamCaptureUnsupported;
}

} // namespace

void emulate_patiently(cudaStream_t stream, const std::function<bool()> &work)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (streams.count(stream) == 0) give_up("work for a stream that there is not");
  if (stream->graph != nullptr)
    record(stream, work);
  else
    stream->queue.push_back({work, Flag(), Flag()});
}

void emulate_later(cudaStream_t stream, const std::function<void()> &work)
{
  emulate_patiently(stream, [work]() {
    work();
    return true;
  });
}

bool emulate_some()
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  for (const CUstream_st *stream : streams)
    if (can_run(stream)) return run_one();
  return false;
}

void emulated_copy_then_call(cudaStream_t stream, void (*call)(const void *argument),
                             const void *argument, size_t bytes)
{
  const char *first = static_cast<const char *>(argument);
  const std::vector<char> copy(first, first + bytes);
  emulate_later(stream, [call, copy]() { call(copy.data()); });
}

cudaError_t emulated_finish_all()
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (captures > 0) return refuse_while_recording();
  run_all();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  *stream = new CUstream_st;
  streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (streams.count(stream) == 0) give_up("a stream is destroyed that there is not");
  while (!stream->queue.empty())
    run_one();
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (stream->graph != nullptr) return refuse_while_recording();
  if (!stream->queue.empty()) (void)run_one();
  return stream->queue.empty() ? emulated_health() : cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (stream->graph != nullptr) return refuse_while_recording();
  while (!stream->queue.empty())
    (void)run_one();
  return emulated_health();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  event->graph = 0;
  if (stream->graph != nullptr) {
    event->graph = stream->graph->number;
    event->nodes = stream->last;
    return cudaSuccess;
  }
  event->done = std::make_shared<bool>(false);
  stream->queue.push_back({nullptr, Flag(), event->done});
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (event->graph != 0) return cudaErrorCapturedEvent;
  if (!event->done || *event->done) return cudaSuccess;
  (void)run_one();
  return *event->done ? cudaSuccess : cudaErrorNotReady;
}

/* A stream that waits for an event of a recording becomes a part of it. */
static cudaError_t wait_for_recorded(cudaStream_t stream, cudaEvent_t event)
{
  CUgraph_st *graph = nullptr;
  for (CUstream_st *other : streams)
    if (other->graph != nullptr && other->graph->number == event->graph) graph = other->graph;
  if (graph == nullptr) return cudaErrorCapturedEvent; /* its recording has ended */
  if (stream->graph != nullptr && stream->graph != graph) return cudaErrorStreamCaptureIsolation;
  if (stream->graph == nullptr) stream->last.clear();
  stream->graph = graph;
  stream->last.insert(event->nodes.begin(), event->nodes.end());
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (event->graph != 0) return wait_for_recorded(stream, event);
  if (stream->graph != nullptr) {
    stream->graph->broken = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (event->done) stream->queue.push_back({nullptr, event->done, Flag()});
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  if (stream->graph != nullptr) return cudaErrorIllegalState;
  stream->graph = new CUgraph_st;
  stream->graph->number = ++captures_begun;
  stream->began = true;
  stream->last.clear();
  ++captures;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  *status = stream->graph == nullptr ? cudaStreamCaptureStatusNone : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
  const std::lock_guard<std::recursive_mutex> guard(lock);
  CUgraph_st *ended = stream->graph;
  *graph = nullptr;
  if (ended == nullptr || !stream->began) return cudaErrorIllegalState;
  Nodes joined;
  collect(ended->nodes, stream->last, &joined);
  for (CUstream_st *other : streams)
    if (other->graph == ended) other->graph = nullptr;
  stream->began = false;
  --captures;
  const bool broken = ended->broken;
  const bool unjoined = joined.size() != ended->nodes.size();
  if (!broken && !unjoined) {
    *graph = ended;
    return cudaSuccess;
  }
  delete ended;
  return broken ? cudaErrorStreamCaptureInvalidated : cudaErrorStreamCaptureUnjoined;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *playable, cudaGraph_t graph,
                                 unsigned long long flags)
{
  *playable = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t playable, cudaStream_t stream)
{
  const std::vector<Node> *nodes = &playable->nodes;
  const auto play = std::make_shared<Play>();
  *play = {nodes, std::vector<bool>(nodes->size(), false), nodes->size()};
  emulate_patiently(stream, [play]() { return play->go_on(); });
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t playable)
{
  (void)emulated_finish_all();
  delete playable;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
  if (bytes > 0) emulate_later(stream, [=]() { __builtin_memmove(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
  if (bytes > 0) emulate_later(stream, [=]() { __builtin_memset(memory, value, bytes); });
  return cudaSuccess;
}
