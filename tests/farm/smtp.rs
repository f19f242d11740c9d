//! Mail to a real server: aiosmtpd of Debian, on this host.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::stage::Farm;

/// Says which port it has, and appends each mail it takes to a file; with a certificate it speaks TLS after STARTTLS only.
const SERVER: &str = r#"
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP
class Keep:
    async def handle_DATA(self, server, session, envelope):
        with open(sys.argv[1], 'ab') as kept:
            kept.write(b'TO ' + b' '.join(to.encode() for to in envelope.rcpt_tos) + b'\n' + envelope.content + b'\n')
        return '250 taken'
async def serve():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    new = lambda: SMTP(Keep(), hostname='test', tls_context=context, require_starttls=context is not None)
    server = await asyncio.get_running_loop().create_server(new, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(serve())
"#;

struct Server(Child, u16);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one; none where there is no aiosmtpd.
fn server(farm: &Farm, more: &[&str]) -> Option<Server> {
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-c", SERVER])
        .arg(farm.at("mails"))
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server = line.trim().parse().map(|port| Server(child, port)).ok();
    if server.is_none() {
        let _ = writeln!(std::io::stderr(), "not tried: there is no aiosmtpd");
    }
    server
}

fn fail(farm: &Farm, name: &str) {
    farm.push(name, "");
    let claimed = farm.claim("b1");
    farm.ok(&format!("syncpkg-report {} --outcome failed --stage build", claimed.claim));
}

fn configure(farm: &Farm, server: &Server, host: &str, more: &str) {
    farm.configure(&format!("[mail]\ntransport = \"smtp\"\nsmtp = \"{host}:{}\"\n{more}", server.1));
}

#[test]
fn a_real_server_gets_each_mail_whole_and_once() {
    let farm = Farm::new();
    let Some(server) = server(&farm, &[]) else { return };
    configure(&farm, &server, "127.0.0.1", "");
    for name in ["gcc", "make"] {
        fail(&farm, name);
        farm.later(1);
    }
    farm.ok("syncpkg-notify");
    farm.ok("syncpkg-notify");
    let mails = std::fs::read_to_string(farm.at("mails")).unwrap();
    assert_eq!(mails.matches("TO ann@example.org\n").count(), 2, "{mails}");
    for copy in farm.files("sent") {
        let sent = std::fs::read_to_string(farm.at("spool/sent").join(copy)).unwrap();
        assert!(mails.replace("\r\n", "\n").contains(&sent.replace("\r\n", "\n")), "{mails}\n{sent}");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;

    fn certificate(farm: &Farm, name: &str) -> String {
        let (key, cert) = (farm.at("key.pem"), farm.at("cert.pem"));
        let (key, cert) = (key.display().to_string(), cert.display().to_string());
        let subject = format!("/CN={name}");
        let names = format!("subjectAltName=DNS:{name}");
        let words =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject, "-addext"];
        let mut words = words.to_vec();
        words.extend([
            names.as_str(),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &key,
            "-out",
            &cert,
        ]);
        farm.tool("openssl", &words, &farm.at(""));
        cert
    }

    /// A farm, and a server that proves to be `name`.
    fn farm_with(name: &str) -> Option<(Farm, Server, String)> {
        let farm = Farm::new();
        let cert = certificate(&farm, name);
        let key = farm.at("key.pem").display().to_string();
        let server = server(&farm, &[&cert, &key])?;
        fail(&farm, "gcc");
        Some((farm, server, cert))
    }

    #[test]
    fn a_server_that_proves_who_it_is_gets_the_mail_in_secret() {
        let Some((farm, server, cert)) = farm_with("localhost") else { return };
        configure(&farm, &server, "localhost", &format!("tls = \"starttls\"\nca = \"{cert}\"\n"));
        farm.ok("syncpkg-notify");
        assert_eq!(std::fs::read_to_string(farm.at("mails")).unwrap().matches("TO ").count(), 1);
    }

    #[test]
    fn a_server_with_a_certificate_of_another_or_that_nobody_vouches_for_gets_nothing() {
        let Some((farm, server, cert)) = farm_with("elsewhere.example.org") else { return };
        for ca in [format!("ca = \"{cert}\"\n"), String::new()] {
            configure(&farm, &server, "localhost", &format!("tls = \"starttls\"\n{ca}"));
            farm.no("syncpkg-notify", 75, "certificate");
            farm.later(3600);
        }
        assert!(!farm.at("mails").exists() && farm.files("sent").is_empty());
    }

    #[test]
    fn a_server_that_does_not_speak_tls_gets_nothing() {
        let farm = Farm::new();
        let Some(server) = server(&farm, &[]) else { return };
        fail(&farm, "gcc");
        for tls in ["starttls", "required"] {
            configure(&farm, &server, "localhost", &format!("tls = \"{tls}\"\ntimeout = \"2s\"\n"));
            farm.no("syncpkg-notify", 75, "cannot send mail to localhost:");
            farm.later(3600);
        }
        assert!(!farm.at("mails").exists());
    }
}
