import { describe, expect, it } from 'vitest';
import { completeVf } from '../config/validate.ts';
import {
  cloudHypervisorArguments,
  libvirtXml,
  qemuArguments,
  shellText,
  umlArguments,
} from './attach.ts';

const plain = completeVf({ name: 'vm1', socket: '/h/vm1.sock', mac: '02:00:00:00:00:0a' }, 'nic0');
const wide = { ...plain, mode: 'client' as const, queuePairs: 2, mtu: 9000 };

describe('User-Mode Linux', () => {
  const trusted = { ...plain, allowUnsealedMemory: true };

  it('connects to the socket of a network device, with the root of this machine', () => {
    expect(umlArguments(trusted, { memory: '256M' })).toEqual([
      'mem=256M',
      'virtio_uml.device=/h/vm1.sock:1',
      'root=/dev/root',
      'rootfstype=hostfs',
      'rootflags=/',
      'rw',
      'init=/bin/sh',
    ]);
  });

  it.each([
    ['memory that is not sealed', plain, '"heddle vf set vm1 --allow-unsealed-memory"'],
    ['a VF that connects', { ...trusted, mode: 'client' as const }, 'mode: server'],
    ['a colon in the path', { ...trusted, socket: '/h/a:b' }, 'path without one'],
  ])('refuses %s with a hint', (_, vf, hint) => {
    const attach = () => umlArguments(vf);
    expect(attach).toThrow(expect.objectContaining({ code: 'HEDDLE_UML_ATTACH' }));
    expect(attach).toThrow(expect.objectContaining({ hint: expect.stringContaining(hint) }));
  });
});

describe('QEMU', () => {
  it('connects, and reconnects, if the NIC listens', () => {
    expect(shellText(qemuArguments(plain))).toBe(
      [
        '-m 1G \\',
        '-object memory-backend-memfd,id=mem,size=1G,share=on \\',
        '-machine memory-backend=mem \\',
        '-chardev socket,id=socket-vm1,path=/h/vm1.sock,reconnect-ms=1000 \\',
        '-netdev vhost-user,id=net-vm1,chardev=socket-vm1,queues=1 \\',
        '-device virtio-net-pci,netdev=net-vm1,mac=02:00:00:00:00:0a,ctrl_guest_offloads=off',
      ].join('\n'),
    );
  });

  it('listens if the NIC connects, with several queues and a larger MTU', () => {
    const text = qemuArguments(wide, { memory: '4G' }).join(' ');
    expect(text).toContain('path=/h/vm1.sock,server=on,wait=off');
    expect(text).toContain('queues=2 ');
    expect(text).toContain(',mq=on,vectors=6,host_mtu=9000');
    expect(text).toContain('-m 4G -object memory-backend-memfd,id=mem,size=4G,share=on');
  });

  it('gets a path with commas and spaces as one argument', () => {
    const text = shellText(qemuArguments({ ...plain, socket: "/a b/it's,1" }));
    expect(text).toContain("'socket,id=socket-vm1,path=/a b/it'\\''s,,1,reconnect-ms=1000'");
  });

  it('reconnects with the option of its version', () => {
    const text = qemuArguments(plain, { qemuVersion: '7.2.22' }).join(' ');
    expect(text).toContain('path=/h/vm1.sock,reconnect=1 ');
  });
});

describe('Cloud Hypervisor', () => {
  it('takes the opposite role', () => {
    expect(shellText(cloudHypervisorArguments(plain))).toBe(
      '--memory size=1G,shared=on \\\n--net vhost_user=true,socket=/h/vm1.sock,' +
        'mac=02:00:00:00:00:0a,num_queues=2,vhost_mode=client',
    );
    expect(cloudHypervisorArguments(wide).at(-1)).toContain(
      'num_queues=4,vhost_mode=server,mtu=9000',
    );
  });
});

describe('libvirt', () => {
  it('gets the interface and the shared memory', () => {
    expect(libvirtXml(plain)).toBe(`<memoryBacking>
  <source type='memfd'/>
  <access mode='shared'/>
</memoryBacking>

<interface type='vhostuser'>
  <alias name='ua-vm1'/>
  <mac address='02:00:00:00:00:0a'/>
  <source type='unix' path='/h/vm1.sock' mode='client'>
    <reconnect enabled='yes' timeout='1'/>
  </source>
  <model type='virtio'/>
</interface>

<qemu:override xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <qemu:device alias='ua-vm1'>
    <qemu:frontend>
      <qemu:property name='ctrl_guest_offloads' type='bool' value='false'/>
    </qemu:frontend>
  </qemu:device>
</qemu:override>`);
  });

  it('listens, with queues, MTU and an escaped path', () => {
    const xml = libvirtXml({ ...wide, name: 'vm.1', socket: "/a&'<b" });
    expect(xml).toContain("path='/a&#38;&#39;&#60;b' mode='server'/>");
    // Libvirt's own <mtu> would keep the VM from starting.
    expect(xml).not.toContain('<mtu');
    expect(xml).toContain("<qemu:property name='host_mtu' type='unsigned' value='9000'/>");
    expect(xml.match(/ua-vm-1/g)).toHaveLength(2);
    expect(xml).toContain("<driver queues='2'/>");
  });
});
