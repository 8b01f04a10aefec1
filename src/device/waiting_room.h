#pragma once

#include "device_private.h"

/* Device memory where the pieces of a batch wait between the host and their places, one behind the
 * other, and the marks of when they came and left. Of inboxes and outboxes; private to device. */
typedef struct WaitingPiece {
  void *to;
  const void *memory;
  size_t bytes;
} WaitingPiece;

enum { WAITING_PIECES_MOST = 32 };

typedef struct WaitingRoom {
  Device *device;
  char *memory; /* NULL where pieces go straight: on a CPU */
  size_t bytes, used;
  WaitingPiece pieces[WAITING_PIECES_MOST];
  int32_t piece_count;
  void *filled;
  void *emptied;
} WaitingRoom;

void waiting_room_reserve(WaitingRoom *room, size_t bytes);
Status waiting_room_allocate(WaitingRoom *room, const char *what);
void waiting_room_close(WaitingRoom *room);
/* A place for a piece that will go on to to. Ends the program if there is none. */
void *waiting_room_add(WaitingRoom *room, void *to, size_t bytes);
void waiting_room_clear(WaitingRoom *room);
/* Host: waits for a mark of the room. */
Status waiting_room_meet(const WaitingRoom *room, void *mark);
