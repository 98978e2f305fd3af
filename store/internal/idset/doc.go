// Package idset keeps the ids of messages that left the log, on disk, so that one that comes again is recognised for hours.
//
// Ids come a segment of the log at a time, are never changed, and go away a bucket of time at once. So they need no tree: each Add makes one
// file, a run, sorted by id, and nothing is written to it again. Now and then some runs of like size become one (Merge), so that a bucket has few, and each id is written a few
// times in all. MayHold asks filters in memory, one for each bucket; only if they say perhaps is it worth Find, which asks the filter of each run on disk, and reads a page of 4 KiB of the runs that may hold the id.
//
// # A file
//
// Its name is bucket-first-last.ids, in hexadecimal: the bucket, and the segments of the log whose ids are in it. It consists of pages of 4,096 bytes, the last
// four of each the CRC-32C of the page's number (8 bytes) and the rest of it. Numbers are big-endian.
//
//	page 0           magic(8) bucket(4) level(4) first(8) last(8) count(8) blocks(8) zeros
//	filter           blocks of 64 bytes: 448 bits, and a checksum as of a page, of the block's number; without one of its own for the page
//	pages of ids     204 entries of 20 bytes each, id(14) seq(6), ascending
//
// A block of the filter is for the ids whose first eight bytes, taken as a fraction of 2^64, fall into its part of the whole; an id sets five bits in it. So filter and entries are
// both written from the beginning to the end, and a place in either is found by arithmetic. Ids must be spread evenly, as those of a keyed hash are. Fourteen bytes of them
// are kept: with ten thousand million in the set, a new one is taken for another with a probability of 2^-79.
//
// A file gets its name when it is complete and on disk. One whose segments another file of its bucket has, too, was merged into it before a crash, and is
// removed by Open.
package idset
