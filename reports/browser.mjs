// Opens a page in headless Chromium, as a reader would: light, dark, narrow, without scripts. Prints what
// the console says and what does not fit; exit 1 when there is anything. Usage:
//   node browser.mjs PAGE.html [FOLDER for screenshots]
// playwright-core is looked for by the usual rules and in PLAYWRIGHT_CORE.
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const require = createRequire(import.meta.url);
let chromium;
try {
  ({ chromium } = require(process.env.PLAYWRIGHT_CORE || 'playwright-core'));
} catch {
  console.log('skipped: no playwright-core');
  process.exit(77);
}
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => existsSync(path));
if (!executablePath) {
  console.log('skipped: no chromium');
  process.exit(77);
}

const [page_file, folder] = process.argv.slice(2);
const views = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'narrow', colorScheme: 'light', viewport: { width: 390, height: 844 } },
  { name: 'no-script', colorScheme: 'light', javaScriptEnabled: false,
    viewport: { width: 1280, height: 900 } },
];
const complaints = [];
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
for (const { name, ...options } of views) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('console', (m) => complaints.push(`${name}: console: ${m.text()}`));
  page.on('pageerror', (e) => complaints.push(`${name}: error: ${e.message}`));
  page.on('request', (r) => {
    if (!/^(file|data):/.test(r.url())) complaints.push(`${name}: asks the network for ${r.url()}`);
  });
  await page.goto('file://' + resolve(page_file), { waitUntil: 'load' });
  if (name !== 'no-script') {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) complaints.push(`${name}: ${wide} pixels wider than the window`);
    const links = await page.evaluate(() => [...document.querySelectorAll('a[href^="#"]')]
      .filter((a) => !document.getElementById(a.getAttribute('href').slice(1)))
      .map((a) => a.getAttribute('href')));
    links.forEach((l) => complaints.push(`${name}: a link to nowhere, ${l}`));
    await page.keyboard.press('Tab');
    const skip = await page.evaluate(() => document.activeElement.className);
    if (skip !== 'skip') complaints.push(`${name}: the first stop of the keyboard is '${skip}'`);
    await page.evaluate(() => document.activeElement.blur());
  }
  const words = await page.textContent('body');
  if (!/powercut report/.test(words)) complaints.push(`${name}: no heading`);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  await context.close();
}
await browser.close();
complaints.forEach((c) => console.log(c));
console.log(complaints.length ? `${complaints.length} complaints` : 'no complaints');
process.exit(complaints.length ? 1 : 0);
