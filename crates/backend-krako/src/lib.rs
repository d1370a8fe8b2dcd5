//! Runs task graphs on a Krako fabric (contract §5), and believes nothing that it says without checking it.
