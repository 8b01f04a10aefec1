#pragma once

#include <functional>

struct CUstream_st;

/* Work in the order of a stream; it runs when the host waits (emulated_streams.cpp). */
void emulate_later(CUstream_st *stream, const std::function<void()> &work);

/* The same for what may have to wait for another process: attempt is called again and again, as the
 * other streams go on, until it returns true; played again, it starts anew. */
void emulate_patiently(CUstream_st *stream, const std::function<bool()> &attempt);

/* One operation of any stream that can run, as a GPU does without being asked; false if there was
 * none. */
bool emulate_some();
