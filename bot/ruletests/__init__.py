"""Unit tests for rules, in the format of Prometheus' own tool. Core: files and clocks are the caller's."""
