#pragma once

#include <functional>

struct CUstream_st;

/* Work in the order of a stream; it runs when the host waits (emulated_streams.cpp). */
void emulate_later(CUstream_st *stream, const std::function<void()> &work);
