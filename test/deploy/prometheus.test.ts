/** The alerts and the PrometheusRule, evaluated by Prometheus' own promtool on what Myelin's metrics may be. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { z } from 'zod';
import { promtool } from '../servers/promtool.ts';
import { tempFolder } from '../support/index.ts';

const rules = resolve(import.meta.dirname, '../../deploy/prometheus/myelin.rules.yaml');

/** Values once a minute, as promtool reads them; null: there is no such series. */
type Series = Readonly<Record<string, string | null>>;

/** `…x*`: for as long as the case takes. */
const well: Series = {
  'myelin_build_info{instance="a",version="1"}': '1x*',
  'myelin_haproxy_up{instance="a"}': '1x*',
  'myelin_haproxy_unresponsive{instance="a"}': '0x*',
  'myelin_last_apply_success{instance="a"}': '1x*',
  'myelin_source_up{instance="a",watcher="consul"}': '1x*',
  'myelin_source_last_success_timestamp_seconds{instance="a",watcher="consul"}': '0+60x*',
  'myelin_service_up{instance="a",service="web"}': '1x*',
  'myelin_endpoints{instance="a",service="web",state="ready"}': '4x*',
  'myelin_servers{instance="a",service="web",state="up"}': '4x*',
  'myelin_servers{instance="a",service="web",state="down"}': '0x*',
  'myelin_quarantined_services{instance="a"}': '0x*',
  'myelin_reload_pending_seconds{instance="a"}': '0x*',
  'myelin_state_reason{instance="a",reason="config_refused"}': '0x*',
  'myelin_state_reason{instance="a",reason="file_behind"}': '0x*',
  'myelin_output_current{instance="a",output="hosts"}': '1x*',
  'myelin_old_workers{instance="a"}': '1x*',
  'myelin_haproxy_answer_seconds_bucket{instance="a",le="0.001"}': '0+60x*',
  'myelin_haproxy_answer_seconds_bucket{instance="a",le="1"}': '0+60x*',
  'myelin_haproxy_answer_seconds_bucket{instance="a",le="2.5"}': '0+60x*',
  'myelin_haproxy_answer_seconds_bucket{instance="a",le="+Inf"}': '0+60x*',
  'myelin_reload_duration_seconds_count{instance="a"}': '0+0.2x*',
  'myelin_connections_closed_total{instance="a",limit="on_hang"}': '3x*',
  'myelin_drift_repairs_total{instance="a"}': '3x*',
  'myelin_drift{instance="a"}': '0x*',
  'myelin_server_orders{instance="a"}': '0x*',
  'myelin_certificate_not_after_seconds{instance="a",frontend="public",certificate="shop"}': '9000000x*',
  'myelin_ca_file_not_after_seconds{instance="a",frontend="public",file="ca.pem"}': '9000000x*',
  'myelin_certificates_left_out{instance="a",frontend="public"}': '0x*',
  'myelin_ca_files_left_out{instance="a"}': '0x*',
  'myelin_unserved_services{instance="a",watcher="consul"}': '0x*',
  'myelin_routes_left_out{instance="a",frontend="public"}': '0x*',
  'myelin_history_current{instance="a"}': '1x*',
};

type Case = {
  readonly title: string;
  /** What differs from `well`; null: nothing is scraped. */
  readonly differs: Series | null;
  readonly minutes: number;
  /** The alerts that fire then. */
  readonly alerts: readonly string[];
};

const cases: readonly Case[] = [
  { title: 'a Myelin with which all is well alerts nobody', differs: {}, minutes: 120, alerts: [] },
  { title: 'no Myelin is scraped', differs: null, minutes: 10, alerts: ['MyelinMissing'] },
  {
    title: 'no HAProxy runs',
    differs: { 'myelin_haproxy_up{instance="a"}': '0x*' },
    minutes: 10,
    alerts: ['MyelinHAProxyDown'],
  },
  {
    title: 'HAProxy hangs: that it is down is not said as well',
    differs: { 'myelin_haproxy_up{instance="a"}': '0x*', 'myelin_haproxy_unresponsive{instance="a"}': '1x*' },
    minutes: 10,
    alerts: ['MyelinHAProxyHangs'],
  },
  {
    title: 'HAProxy was gone for a moment',
    differs: { 'myelin_haproxy_up{instance="a"}': '1x3 0x4 1x*' },
    minutes: 10,
    alerts: [],
  },
  {
    title: 'all servers of a service are down: that half of them are is not said as well',
    differs: {
      'myelin_service_up{instance="a",service="web"}': '0x*',
      'myelin_servers{instance="a",service="web",state="up"}': '0x*',
      'myelin_servers{instance="a",service="web",state="down"}': '4x*',
    },
    minutes: 10,
    alerts: ['MyelinServiceDown'],
  },
  {
    title: 'half of the servers of a service are down',
    differs: {
      'myelin_servers{instance="a",service="web",state="up"}': '2x*',
      'myelin_servers{instance="a",service="web",state="down"}': '2x*',
    },
    minutes: 10,
    alerts: ['MyelinServersDown'],
  },
  {
    title: 'one of four servers is down',
    differs: {
      'myelin_servers{instance="a",service="web",state="up"}': '3x*',
      'myelin_servers{instance="a",service="web",state="down"}': '1x*',
    },
    minutes: 10,
    alerts: [],
  },
  {
    title: 'a service without an endpoint is empty, and not down',
    differs: {
      'myelin_service_up{instance="a",service="web"}': '0x*',
      'myelin_endpoints{instance="a",service="web",state="ready"}': '0x*',
      'myelin_servers{instance="a",service="web",state="up"}': '0x*',
    },
    minutes: 10,
    alerts: ['MyelinServiceEmpty'],
  },
  {
    title: 'a service is quarantined',
    differs: { 'myelin_quarantined_services{instance="a"}': '1x*' },
    minutes: 10,
    alerts: ['MyelinServiceQuarantined'],
  },
  {
    title: 'endpoints are kept',
    differs: { 'myelin_endpoints{instance="a",service="web",state="kept"}': '2x*' },
    minutes: 15,
    alerts: ['MyelinEndpointsKept'],
  },
  {
    title: 'endpoints are refused',
    differs: { 'myelin_endpoints{instance="a",service="web",state="refused"}': '2x*' },
    minutes: 20,
    alerts: ['MyelinEndpointsRefused'],
  },
  {
    title: 'a source is away',
    differs: {
      'myelin_source_up{instance="a",watcher="consul"}': '0x*',
      'myelin_source_last_success_timestamp_seconds{instance="a",watcher="consul"}': '60x*',
    },
    minutes: 20,
    alerts: ['MyelinSourceOutdated'],
  },
  {
    title: 'a source has never answered',
    differs: {
      'myelin_source_up{instance="a",watcher="consul"}': '0x*',
      'myelin_source_last_success_timestamp_seconds{instance="a",watcher="consul"}': null,
    },
    minutes: 10,
    alerts: ['MyelinSourceNeverAnswered'],
  },
  {
    title: 'updates fail',
    differs: { 'myelin_last_apply_success{instance="a"}': '0x*' },
    minutes: 10,
    alerts: ['MyelinApplyFailed'],
  },
  {
    title: 'a reload waits',
    differs: { 'myelin_reload_pending_seconds{instance="a"}': '0+60x*' },
    minutes: 10,
    alerts: ['MyelinReloadPending'],
  },
  {
    title: 'a config is refused',
    differs: { 'myelin_state_reason{instance="a",reason="config_refused"}': '1x*' },
    minutes: 10,
    alerts: ['MyelinConfigRefused'],
  },
  {
    title: 'the config file is behind',
    differs: { 'myelin_state_reason{instance="a",reason="file_behind"}': '1x*' },
    minutes: 10,
    alerts: ['MyelinConfigFileBehind'],
  },
  {
    title: 'an output fails',
    differs: { 'myelin_output_current{instance="a",output="hosts"}': '0x*' },
    minutes: 10,
    alerts: ['MyelinOutputFailed'],
  },
  {
    title: 'HAProxy answers slowly',
    differs: {
      'myelin_haproxy_answer_seconds_bucket{instance="a",le="0.001"}': '0x*',
      'myelin_haproxy_answer_seconds_bucket{instance="a",le="1"}': '0x*',
    },
    minutes: 15,
    alerts: ['MyelinHAProxySlow'],
  },
  {
    title: 'HAProxy is reloaded twice a minute',
    differs: { 'myelin_reload_duration_seconds_count{instance="a"}': '0+2x*' },
    minutes: 120,
    alerts: ['MyelinReloadsOften'],
  },
  {
    title: 'old processes stay',
    differs: { 'myelin_old_workers{instance="a"}': '12x*' },
    minutes: 120,
    alerts: ['MyelinOldWorkers'],
  },
  {
    title: 'a limit closes connections',
    differs: { 'myelin_connections_closed_total{instance="a",limit="on_hang"}': '3x10 8x*' },
    minutes: 15,
    alerts: ['MyelinConnectionsClosed'],
  },
  {
    title: 'drift is repaired',
    differs: { 'myelin_drift_repairs_total{instance="a"}': '3x10 8x*' },
    minutes: 15,
    alerts: ['MyelinDriftRepaired'],
  },
  {
    title: 'drift is left',
    differs: { 'myelin_drift{instance="a"}': '1x*' },
    minutes: 15,
    alerts: ['MyelinDriftLeft'],
  },
  {
    title: 'a server is out for a day',
    differs: { 'myelin_server_orders{instance="a"}': '1x*' },
    minutes: 1500,
    alerts: ['MyelinServerOrderForgotten'],
  },
  {
    title: 'a certificate ends in ten days',
    differs: { 'myelin_certificate_not_after_seconds{instance="a",frontend="public",certificate="shop"}': '864000x*' },
    minutes: 120,
    alerts: ['MyelinCertificateExpires'],
  },
  {
    title: 'a certificate ends in a day',
    differs: { 'myelin_certificate_not_after_seconds{instance="a",frontend="public",certificate="shop"}': '86400x*' },
    minutes: 120,
    alerts: ['MyelinCertificateExpires', 'MyelinCertificateExpiresSoon'],
  },
  {
    title: 'a CA certificate ends in ten days',
    differs: { 'myelin_ca_file_not_after_seconds{instance="a",frontend="public",file="ca.pem"}': '864000x*' },
    minutes: 120,
    alerts: ['MyelinCaCertificateExpires'],
  },
  {
    title: 'a certificate is left out',
    differs: { 'myelin_certificates_left_out{instance="a",frontend="public"}': '1x*' },
    minutes: 10,
    alerts: ['MyelinCertificatesLeftOut'],
  },
  {
    title: 'services are left out',
    differs: { 'myelin_unserved_services{instance="a",watcher="consul"}': '1x*' },
    minutes: 20,
    alerts: ['MyelinServicesLeftOut'],
  },
  {
    title: 'routes are left out',
    differs: { 'myelin_routes_left_out{instance="a",frontend="public"}': '1x*' },
    minutes: 20,
    alerts: ['MyelinRoutesLeftOut'],
  },
  {
    title: 'the history cannot be written',
    differs: { 'myelin_history_current{instance="a"}': '0x*' },
    minutes: 15,
    alerts: ['MyelinHistoryNotWritten'],
  },
];

test('each alert fires when it should, and no other one does', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'rules.test.yaml');
  await writeFile(path, stringify({ rule_files: [rules], evaluation_interval: '5m', tests: cases.map(testOf) }));
  const { status, stdout, stderr } = await promtool('test', 'rules', path);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('Prometheus finds nothing wrong with the rules', async () => {
  const { status, stdout, stderr } = await promtool('check', 'rules', '--lint=all', '--lint-fatal', rules);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('Prometheus can read each query of the dashboard', async () => {
  await using folder = await tempFolder();
  const panels = z
    .object({ panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).default([]) })) })
    .parse(JSON.parse(await readFile(resolve(import.meta.dirname, '../../deploy/grafana/myelin.json'), 'utf8'))).panels;
  const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m')));
  const path = join(folder.path, 'dashboard.rules.yaml');
  const recorded = exprs.map((expr, index) => ({ record: `dashboard:query:${index}`, expr }));
  await writeFile(path, stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
  const { status, stdout, stderr } = await promtool('check', 'rules', path);
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, new RegExp(`${exprs.length} rules found`));
});

function testOf({ title, differs, minutes, alerts }: Case) {
  const series = Object.entries(differs === null ? {} : { ...well, ...differs });
  return {
    name: title,
    interval: '1m',
    input_series: series.flatMap(([name, values]) =>
      values === null ? [] : [{ series: name, values: values.replaceAll('*', `${minutes + 1}`) }],
    ),
    promql_expr_test: [
      {
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: `${minutes}m`,
        exp_samples: alerts.map((name) => ({ labels: `{alertname="${name}"}`, value: 1 })),
      },
    ],
  };
}
