import { createHash, X509Certificate } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'

const style =
  'body{font:1.05rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}code{overflow-wrap:anywhere}a.big{display:inline-block;padding:.6rem 1rem;border:2px solid;border-radius:.5rem;margin:0 .5rem .5rem 0}'

const headers = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}

/** `/trust`: the authority's certificate for phones and computers, without identity. Where there is none of ours, 404. */
export function trustRoutes(app: FastifyInstance, deps: { caPem(): string | undefined }): void {
  function route(path: string, answer: (certificate: X509Certificate, reply: FastifyReply) => FastifyReply): void {
    app.get(path, (_request, reply) => {
      const pem = deps.caPem()
      return pem === undefined ? reply.callNotFound() : answer(new X509Certificate(pem), reply.headers(headers))
    })
  }

  route('/trust', (certificate, reply) => reply.type('text/html; charset=utf-8').send(page(certificate)))
  // The type on which iOS offers a profile and Android its installer (DER: Windows opens it as well).
  route('/trust/ca.crt', ({ raw }, reply) => download(reply, 'crt', 'application/x-x509-ca-cert').send(raw))
  route('/trust/ca.pem', (certificate, reply) =>
    download(reply, 'pem', 'application/x-pem-file').send(certificate.toString()),
  )
}

function download(reply: FastifyReply, ending: string, type: string): FastifyReply {
  return reply.header('content-disposition', `attachment; filename="stagedoor-ca.${ending}"`).type(type)
}

/** Nothing in it comes from a request; the fingerprint is hexadecimal and the date is ours. */
function page({ fingerprint256, validToDate }: X509Certificate): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Trust this Stagedoor</title>
<style>${style}</style>
<h1>Trust this Stagedoor</h1>
<p>Your device does not know this music server yet. Install its certificate once, and the warning is gone until ${validToDate.toISOString().slice(0, 10)}.</p>
<h2>1. Download</h2>
<p><a class="big" href="/trust/ca.crt">For phones and Windows (.crt)</a><a class="big" href="/trust/ca.pem">For Linux and scripts (.pem)</a></p>
<h2>2. Compare</h2>
<p>So far anybody on the network could have given you this page. Compare the SHA-256 fingerprint your device shows with the one Stagedoor printed where it was started. Only if they are the same, go on.</p>
<p>This page has: <code>${fingerprint256}</code></p>
<h2>3. Install</h2>
<h3>iPhone and iPad</h3>
<ol><li>Open this page in Safari, download, allow the profile.</li><li>Settings → General → VPN &amp; Device Management → the profile → Install. <i>More Details</i> shows the fingerprint.</li><li>Settings → General → About → Certificate Trust Settings: switch it on.</li></ol>
<h3>Android</h3>
<ol><li>Settings → Security → Encryption &amp; credentials → Install a certificate → CA certificate → the file. (The words differ between makers: search the settings for “certificate”.)</li><li>Browsers use it at once. Other apps only if their makers allow it.</li></ol>
<h3>Windows</h3>
<ol><li>Open the .crt file → Install Certificate → Current User → Place all certificates in the following store → Trusted Root Certification Authorities.</li></ol>
<h3>macOS</h3>
<ol><li>Open the .crt file: it goes to Keychain Access.</li><li>Open it there → Trust → When using this certificate: Always Trust.</li></ol>
<h3>Linux</h3>
<ol><li>Debian, Ubuntu: <code>sudo cp stagedoor-ca.pem /usr/local/share/ca-certificates/stagedoor-ca.crt &amp;&amp; sudo update-ca-certificates</code></li><li>Fedora: <code>sudo trust anchor stagedoor-ca.pem</code></li><li>curl alone: <code>curl --cacert stagedoor-ca.pem …</code></li></ol>
<h3>Firefox</h3>
<ol><li>Settings → Privacy &amp; Security → Certificates → View Certificates → Authorities → Import.</li></ol>
<h2>To take it back</h2>
<p>Remove it in the same place. It can vouch for any site while it is installed: whoever holds the file <code>ca.key</code> of this server could pretend to be one to you. That file never leaves the server.</p>
</html>
`
}
