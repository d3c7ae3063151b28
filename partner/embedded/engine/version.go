package engine

// VersionText is @@VERSION of an embedded partner.
const VersionText = "Microsoft SQL Server 2019 (RTM) - 15.0.2000.5 (mirrorstate embedded pair)"
