"""What is reviewed here is never collected or imported: applications bring test files of their own."""

collect_ignore_glob = ["apps/*", "cases/*"]
