//! A mail server of a test's own, which behaves as badly as it is told to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// What it does to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it; of recipients `refused` and `later` say what they are.
    Well,
    /// Says at once that it has no time.
    Busy,
    /// Refuses the sender.
    NoSender,
    /// Refuses what is in the mail, for now.
    NotNow,
    /// Refuses what is in the mail, for ever.
    Spam,
    /// Takes the mail, and never says so.
    HangAfterData,
    /// Hangs up in the middle of the mail.
    CutInData,
    /// Takes the mail, and hangs up before it says so.
    CutAfterData,
    /// Says nothing from the beginning.
    Mute,
    /// Says what is no answer.
    Babble,
}

/// What it was told so far.
#[derive(Debug, Default)]
pub struct Heard {
    pub connections: usize,
    pub lines: Vec<String>,
    /// The mails it has seen the end of, as they came.
    pub mails: Vec<String>,
}

pub struct Server {
    pub name: String,
    heard: Arc<Mutex<Heard>>,
    manner: Arc<Mutex<Manner>>,
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            name: listener.local_addr().unwrap().to_string(),
            heard: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        };
        let (heard, manner) = (Arc::clone(&server.heard), Arc::clone(&server.manner));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                heard.lock().unwrap().connections += 1;
                let now = *manner.lock().unwrap();
                // Each has its own thread: one that is left hanging holds up nobody.
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || drop(talk(stream, now, &heard)));
            }
        });
        server
    }

    pub fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    pub fn recipients(&self) -> Vec<String> {
        let heard = self.heard();
        heard.lines.iter().filter_map(|line| Some(line.strip_prefix("RCPT TO:")?.to_owned())).collect()
    }

    /// The Message-IDs of the mails it has seen the end of.
    pub fn ids(&self) -> Vec<String> {
        let heard = self.heard();
        let id = |mail: &String| {
            mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned()
        };
        heard.mails.iter().map(id).collect()
    }
}

/// Waits until the other side has hung up.
fn hang(input: &mut impl BufRead) {
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|read| read > 0) {}
}

fn greet(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 test\r\n")
}

fn talk(mut stream: TcpStream, manner: Manner, heard: &Mutex<Heard>) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    match manner {
        Manner::Mute => hang(&mut input),
        Manner::Babble => return stream.write_all(b"SSH-2.0-OpenSSH\r\n\0\xff\r\n"),
        Manner::Busy => return stream.write_all(b"421 no time\r\n"),
        Manner::Well | Manner::NoSender | Manner::NotNow | Manner::Spam => greet(&mut stream)?,
        Manner::HangAfterData | Manner::CutInData | Manner::CutAfterData => greet(&mut stream)?,
    }
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let said = line.trim_end().to_owned();
        line.clear();
        heard.lock().unwrap().lines.push(said.clone());
        let answer: &str = match said.split([' ', ':']).next().unwrap_or_default() {
            "MAIL" if manner == Manner::NoSender => "550 who are you?",
            "RCPT" if said.contains("refused") => "550 no such user",
            "RCPT" if said.contains("later") => "451 not now",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                if manner == Manner::CutInData {
                    input.read_line(&mut line)?;
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                let mail = data(&mut input)?;
                heard.lock().unwrap().mails.push(mail);
                match manner {
                    Manner::HangAfterData => {
                        hang(&mut input);
                        return Ok(());
                    }
                    Manner::CutAfterData => return stream.shutdown(std::net::Shutdown::Both),
                    Manner::NotNow => "451 try later",
                    Manner::Spam => "554 this is spam",
                    Manner::Well | Manner::NoSender | Manner::CutInData => "250 taken",
                    Manner::Busy | Manner::Mute | Manner::Babble => "221 nobody gets here",
                }
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

fn data(input: &mut impl BufRead) -> std::io::Result<String> {
    let mut mail = String::new();
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 && line != ".\r\n" {
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
        line.clear();
    }
    Ok(mail)
}
