#pragma once

#include "cuda_device.h"
#include "device_driver.h"

/* What comes after what: the driver's marks (events) and recordings (graphs). Private to
 * device/cuda. */
cudaStream_t cuda_stream(const CudaDevice *device, DeviceStream stream);

Status mark_open_cuda(void *handle, void **mark);
void mark_close_cuda(void *handle, void *mark);
Status mark_set_cuda(void *handle, void *mark, DeviceStream stream);
Status mark_await_cuda(void *handle, void *mark, DeviceStream stream);
Status mark_meet_cuda(void *handle, void *mark);

Status record_begin_cuda(void *handle);
Status record_end_cuda(void *handle, void **recording);
Status play_cuda(void *handle, void *recording);
void recording_close_cuda(void *handle, void *recording);
