//! Who listens on a port, from `/proc` alone.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

/// Of `wanted`, the TCP ports someone other than `ours` listens on, each with that process's name and id.
pub(super) fn taken(wanted: &[u16], ours: &[i32]) -> Vec<(u16, String)> {
    let mut listening = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        listening.extend(parse(&fs::read_to_string(table).unwrap_or_default()));
    }
    let sockets: HashSet<u64> =
        listening.iter().filter(|(_, port)| wanted.contains(port)).map(|(inode, _)| *inode).collect();
    let holders = holders(&sockets);
    let mut taken: Vec<(u16, String)> = listening
        .iter()
        .filter(|(_, port)| wanted.contains(port))
        .filter_map(|(inode, port)| match holders.get(inode) {
            Some(process) if ours.contains(process) => None,
            Some(process) => Some((*port, format!("{} (process {process})", name(*process)))),
            None => Some((*port, "a process that cannot be seen from here".to_owned())),
        })
        .collect();
    taken.sort();
    taken.dedup();
    taken
}

/// Socket inode to port, of the sockets in state LISTEN (0A) in a table such as `/proc/net/tcp`.
fn parse(table: &str) -> HashMap<u64, u16> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
            (*state == "0A").then_some((inode.parse().ok()?, port))
        })
        .collect()
}

/// Socket inode to process, by the links in `/proc/<pid>/fd`.
fn holders(sockets: &HashSet<u64>) -> HashMap<u64, i32> {
    let mut holders = HashMap::new();
    if sockets.is_empty() {
        return holders;
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        for file in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let inode =
                target.to_string_lossy().strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| sockets.contains(inode)) {
                // A child that was forked a moment ago still holds what its parent opened: the parent came first.
                let holder = holders.entry(inode).or_insert(process);
                *holder = process.min(*holder);
            }
        }
    }
    holders
}

fn name(process: i32) -> String {
    fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:192C 0100007F:192B 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        assert_eq!(parse(table), HashMap::from([(4711, 6443)]));
    }

    #[test]
    fn a_port_held_by_a_stranger_names_it_and_our_own_is_fine() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        let found = taken(&[port], &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains(&format!("(process {me})")), "{}", found[0].1);
        assert!(taken(&[port], &[me]).is_empty());
    }
}
