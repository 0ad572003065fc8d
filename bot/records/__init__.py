"""What is told of incidents afterwards: timelines, reports, exports, digests."""
